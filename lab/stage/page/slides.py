"""Markdown as a tree of elements that the page builds node by node: no markup of a show's author reaches the browser.

A node is a string, or {"t": tag, "c": [nodes]}; the page knows the same few tags and no attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

TAGS: Final = frozenset(
    {
        "h1", "h2", "h3", "p", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "br", "hr", "s",
        "table", "thead", "tbody", "tr", "th", "td",
    }
)  # fmt: skip
Node = str | dict[str, Any]


def tree(markdown: str) -> list[Node]:
    """The slide's nodes. HTML in it is text; a link is its words, a picture its description."""
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return _children(SyntaxTreeNode(parser.parse(markdown)))


def _children(node: SyntaxTreeNode) -> list[Node]:
    return [made for child in node.children for made in _nodes(child)]


def _nodes(node: SyntaxTreeNode) -> list[Node]:
    if node.type in {"text", "image"}:
        return [node.content]
    if node.type == "softbreak":
        return [" "]
    if node.type in {"fence", "code_block"}:
        return [{"t": "pre", "c": [node.content.rstrip("\n")]}]
    if node.type == "code_inline":
        return [{"t": "code", "c": [node.content]}]
    tag = {"h4": "h3", "h5": "h3", "h6": "h3"}.get(node.tag, node.tag)
    if tag in TAGS:
        return [{"t": tag, "c": _children(node)}]
    return _children(node)
