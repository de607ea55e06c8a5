"""The canary requests as rows of a waterfall: every reference span, received or missing, then spans beyond it."""

from __future__ import annotations

from collections.abc import Sequence

from lab.guest.scoring.signature import signature
from lab.guest.scoring.trees import Assignment, TypeTree, assign, fragments, type_trees
from lab.guest.wire import CanaryRequest, Span, SpanNode
from lab.model.run import Run, RunCanary
from lab.model.summary_form import ExtraBar, Mark, Trace, TraceRow, TraceSpan


def traces(run: Run, order: Sequence[str]) -> tuple[Trace, ...]:
    """One entry per form and canary request type, from its first good proof. Times: ms from the request's start."""
    first: dict[str, RunCanary] = {}
    for proof in sorted(run.canaries, key=lambda item: (not item.canary.ok, item.block or 0, item.attempt or 0)):
        first.setdefault(proof.canary.form, proof)
    found: list[Trace] = []
    for name in order:
        if name not in first:
            continue
        expected = run.plan.forms[name].expected
        trees = type_trees(run.plan.reference, expected)
        found += [
            _trace(name, request, trees[request.type], first[name].path, expected=expected.known)
            for request in first[name].canary.requests
            if request.type in trees
        ]
    return tuple(found)


def _trace(form: str, request: CanaryRequest, tree: TypeTree, path: str, *, expected: bool) -> Trace:
    read = assign(fragments(request.spans), tree)
    received = {span.span_id for span in request.spans}
    by_node: dict[str, list[Span]] = {}
    for span in sorted(request.spans, key=lambda item: item.start_ns):
        by_node.setdefault(read.node_of.get(span.span_id, ""), []).append(span)
    rows = [_row(node, by_node.get(node.id, []), read, tree, request) for node in _depth_first(tree)]
    return Trace(
        form=form,
        type=request.type,
        status=request.status,
        request_ms=(request.end_ns - request.start_ns) / 1e6,
        traces=len({span.trace_id for span in request.spans}),
        received=sum(len(row.spans) for row in rows),
        reference=sum(node.count_min for node in tree.nodes.values()),
        expected=expected,
        rows=tuple(rows),
        extra=tuple(_extra(span, received, request) for span in by_node.get("", [])),
        evidence=path,
    )


def _depth_first(tree: TypeTree) -> list[SpanNode]:
    """Reference nodes, each below its parent, in the order of the file."""
    children: dict[str, list[SpanNode]] = {}
    for node in tree.nodes.values():
        children.setdefault(node.parent if node.parent in tree.nodes else "", []).append(node)
    ordered: list[SpanNode] = []
    todo = list(reversed(children.get("", [])))
    while todo:
        node = todo.pop()
        ordered.append(node)
        todo += reversed(children.get(node.id, []))
    return ordered


def _row(node: SpanNode, spans: Sequence[Span], read: Assignment, tree: TypeTree, request: CanaryRequest) -> TraceRow:
    expected = tree.expectation(node.id)
    missing = max(0, node.count_min - len(spans))
    return TraceRow(
        node=node.id,
        kind=f"{node.family} {node.kind}",
        match=node.match,
        depth=len(tree.above[node.id]),
        missing=missing,
        known=bool(missing) and expected.mode != "exact",
        cause=expected.cause if missing else "",
        spans=tuple(
            TraceSpan(
                name=span.name,
                service=span.service,
                start_ms=(span.start_ns - request.start_ns) / 1e6,
                duration_ms=(span.end_ns - span.start_ns) / 1e6,
                mark="ok" if read.parent_ok.get(span.span_id) else _misplaced(span, request),
                as_expected=read.as_expected.get(span.span_id, False),
            )
            for span in spans
        ),
    )


def _misplaced(span: Span, request: CanaryRequest) -> Mark:
    """orphan: its parent was not received; root: it has no parent but should; moved: it has another parent."""
    if not span.parent_id:
        return "root"
    return "moved" if any(other.span_id == span.parent_id for other in request.spans) else "orphan"


def _extra(span: Span, received: set[str], request: CanaryRequest) -> ExtraBar:
    about = signature(span)
    return ExtraBar(
        name=span.name,
        service=span.service,
        start_ms=(span.start_ns - request.start_ns) / 1e6,
        duration_ms=(span.end_ns - span.start_ns) / 1e6,
        kind=f"{about.family} {about.kind}",
        operation=about.target or span.name,
        mark="orphan" if span.parent_id and span.parent_id not in received else "extra",
    )
