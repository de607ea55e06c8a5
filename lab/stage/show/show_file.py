"""Reader of a show file: every mistake in one pass, each with its place."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from lab import forms as catalog
from lab.flows import request
from lab.flows.request import DemoRequest
from lab.model import regular
from lab.model.config import DemoConfig
from lab.model.errors import ConfigError
from lab.model.form import Form
from lab.model.key import Key, walk
from lab.model.loading import typed
from lab.model.loading.yamlspec import Section, nearest, not_one_of, read
from lab.model.names import file_name_fault
from lab.model.problems import collect
from lab.stage.beat.expect import FORMS, Expect, InRange, Inside, VerdictWord
from lab.stage.kinds import KINDS
from lab.stage.kinds.attach import AttachBeat
from lab.stage.kinds.kind import Around, Kind
from lab.stage.show import steering, unmet
from lab.stage.show.show import Beat, BeatKeys, Show, ShowKeys
from lab.system import resources

DEFAULT: Final = "four-pillars"
T = TypeVar("T")


def shows_dir() -> Path:
    return resources.root() / "demo" / "shows"


def names() -> list[str]:
    """The shows that ship with lab."""
    return sorted(path.stem for path in shows_dir().glob("*.yaml"))


def find(name: str) -> Path:
    """The file of a show, by its name or its path. Raises ConfigError."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    if name not in names():
        known = ", ".join(names())
        raise ConfigError(
            f"no show {name!r}{nearest(name, names())} (known: {known})",
            fix="give the name of one of them, or the path of a show file that ends in .yaml",
        )
    return shows_dir() / f"{name}.yaml"


def load(path: Path) -> Show:
    """Read a show and the files that it names. Raises ConfigError with every problem."""
    doc = read(path).schema(1)
    for node, place, fault in steering.faults(doc.node):
        doc.document.problem(node, place, fault, closes=True)
    doc.only("schema", "beats", *(name_of(one) for one in walk(ShowKeys))).require("title", "beats")
    top = _typed(doc, ShowKeys)
    top = dataclasses.replace(top, name=top.name or path.stem)
    doc.check("name", file_name_fault(top.name))
    cuts = _cuts(doc, top)
    known = _known_forms(doc, top)
    asked = _asked(doc, path, top, known)
    forms = top.forms or tuple(form.name for form in (asked.forms if asked else ()))
    top = dataclasses.replace(top, forms=forms)
    around = Around(
        forms={name: known[name] for name in forms if name in known},
        requests=tuple(one.type for one in asked.scenario.requests) if asked else (),
        unknown=tuple(one.name for one in asked.forms if not catalog.is_known(one, asked.service)) if asked else (),
    )
    beats = [_beat(item, top, cuts, around) for item in doc.sections("beats")]
    doc.check("beats", "" if beats or not doc.sound("beats") else "at least one beat is needed")
    _unique(doc, beats)
    _meets(doc, beats, around)
    _fits(doc, top, [beat for beat in beats if beat is not None], cuts)
    doc.document.finish()
    assert asked is not None, "what could not be read was noted"
    digest = hashlib.sha256(regular.content(path)).hexdigest()
    return Show(path=path, keys=top, beats=tuple(beat for beat in beats if beat), asked=asked, digest=digest)


def name_of(one: Key) -> str:
    """The key as it is written: `else` cannot be the name of a field."""
    return one.name.rstrip("_")


def _typed(section: Section, kind: type[T]) -> T:
    """The keys of `kind` that the section has."""
    values: dict[str, Any] = {}
    for one in walk(kind):
        if section.has(name_of(one)) or (one.kind is bool and name_of(one) in section.items):
            values[one.name] = typed.value(section, dataclasses.replace(one, name=name_of(one)))
    return kind(**values)


def _cuts(doc: Section, top: ShowKeys) -> tuple[float, ...]:
    try:
        cuts = tuple(float(text) for text in top.cuts_min)
    except ValueError:
        doc.complain("cuts_min", f"numbers of minutes are expected, not {', '.join(top.cuts_min)}", closes=True)
        return ()
    falling = list(cuts) == sorted(set(cuts), reverse=True) and all(0 < cut < top.slot_min for cut in cuts)
    if not falling and doc.sound("slot_min"):
        doc.complain("cuts_min", f"each has to be shorter than the one before, the first than {top.slot_min:g}")
    return cuts


def _known_forms(doc: Section, top: ShowKeys) -> Mapping[str, Form]:
    known = catalog.catalog(resources.root())
    for at, name in enumerate(top.forms):
        if name not in known:
            doc.document.problem(
                doc.items["forms"], f"forms[{at}]", f"no form {name!r}{nearest(name, known)}", closes=True
            )
        if name in top.forms[:at]:
            doc.complain("forms", f"the form {name!r} is a duplicate")
    return known


def _asked(doc: Section, path: Path, top: ShowKeys, known: Mapping[str, Form]) -> DemoRequest | None:
    """The scenario with its service. What is wrong in those files joins what is wrong in this one."""
    name = top.scenario
    if name.endswith((".yaml", ".yml")):
        name = str(path.parent / name)
    else:
        scenarios = sorted(one.stem for one in request.scenarios_dir().glob("*.yaml"))
        if name not in scenarios:
            shown = ", ".join(scenarios)
            doc.complain("scenario", f"no scenario {name!r}{nearest(name, scenarios)} (known: {shown})")
            return None
    forms = tuple(form for form in top.forms if form in known)
    demo = DemoConfig(scenario=name, seed=top.seed, forms=forms or DemoConfig().forms)
    return collect(lambda: request.read(demo, forms_given=bool(forms)), doc.document.problems)


def _beat(item: Section, top: ShowKeys, cuts: tuple[float, ...], around: Around) -> Beat | None:
    item.require("id", "kind", "title")
    kind = KINDS.get(item.text("kind"))
    if kind is not None:  # else nobody knows which keys it may have beside those of every beat
        common = [name_of(one) for one in walk(BeatKeys)]
        item.only(*common, "expect", *(name_of(one) for one in walk(kind))).require(*kind.NEEDED)
    keys = _typed(item, BeatKeys)
    if kind is None and item.has("kind") and item.sound("kind"):
        item.complain("kind", not_one_of(keys.kind, KINDS), closes=True)
    if item.has("id"):
        item.check("id", file_name_fault(keys.id))
    if keys.cut and keys.cut not in (top.slot_min, *cuts) and item.sound("cut"):
        slots = ", ".join(f"{minutes:g}" for minutes in (top.slot_min, *cuts))
        item.complain("cut", f"is no slot of this show (slots, in minutes: {slots})", closes=True)
    if kind is None:
        return None
    does = _with_forms(item, _typed(item, kind), top)
    if item.sound("budget_s"):
        around = dataclasses.replace(around, budget_s=keys.budget_s)
    for name, text in does.faults(around):
        item.check(name, text)
    expect = [_expect(one, keys.kind, does, top) for one in item.sections("expect")]
    return Beat(keys=keys, does=does, expect=tuple(one for one in expect if one is not None))


def _with_forms(item: Section, does: Kind, top: ShowKeys) -> Kind:
    """A kind that shows forms and names none shows all of them; one that it names has to be the show's."""
    fields = {one.name for one in dataclasses.fields(does)}  # type: ignore[arg-type]  # of a dataclass
    for name in does.named_forms:
        if top.forms and name not in top.forms:
            key = "form" if "form" in fields else "forms"
            item.complain(key, f"{name!r} is no form of this show{nearest(name, top.forms)}")
    for name in dict.fromkeys(name for at, name in enumerate(does.named_forms) if name in does.named_forms[:at]):
        item.complain("forms", f"the form {name!r} is a duplicate")
    if "forms" in fields and not does.named_forms:
        return dataclasses.replace(does, forms=top.forms)  # type: ignore[type-var]  # of a dataclass
    return does


def _expect(item: Section, word: str, does: Kind, top: ShowKeys) -> Expect | None:
    name = next((name for name in FORMS if item.has(name) and name != "values"), "")
    if not name:
        known = ", ".join(FORMS)
        given = next(iter(item.names), "")
        item.complain(given, f"one of {known} is expected{nearest(given, FORMS)}", closes=True)
        return None
    form = FORMS[name]
    item.only(*(name_of(one) for one in walk(form)))
    if name not in does.GIVES:
        gives = ", ".join(does.GIVES) or "nothing that can be expected"
        item.complain(name, f"a beat of kind {word} never shows it (it gives: {gives})", closes=True)
        return None
    found = _typed(item, form)
    if item.sound(name):
        item.check(name, found.fault())
    asked_values = (found.value,) if isinstance(found, InRange) else found.values if isinstance(found, Inside) else ()
    for value in asked_values:
        if value not in does.VALUES:
            item.complain(
                "value" if isinstance(found, InRange) else "values",
                f"{value!r} is no value of a beat of kind {word}{nearest(value, does.VALUES)}"
                f" (known: {', '.join(does.VALUES)})",
            )
    for key, one in (("form", getattr(found, "form", "")), ("spans", getattr(found, "spans", ""))):
        if one and top.forms and one not in top.forms:
            item.complain(key, f"{one!r} is no form of this show{nearest(one, top.forms)}")
        elif one and not isinstance(found, VerdictWord) and one not in does.named_forms:  # a pillar shows a run's forms
            shown = ", ".join(does.named_forms) or "none"
            item.complain(key, f"the beat does not show the form {one!r} (it shows: {shown})")
    return found


def _meets(doc: Section, beats: list[Beat | None], around: Around) -> None:
    """After all beats were read: an agent that stays attached gives a form spans in the beats after."""
    kept = [one.does for one in beats if one and isinstance(one.does, AttachBeat) and one.does.keep]
    unknown = (one.form for one in kept if one.agent_of in around.unknown)
    around = dataclasses.replace(around, kept=tuple(one.form for one in kept), unknown=(*around.unknown, *unknown))
    for item, beat in zip(doc.sections("beats"), beats, strict=True):
        written = item.sections("expect")
        if beat is None or len(written) != len(beat.expect):  # said already
            continue
        near = dataclasses.replace(around, budget_s=beat.keys.budget_s) if item.sound("budget_s") else around
        for one, expect in zip(written, beat.expect, strict=True):
            for key, text in unmet.faults(expect, beat.does, near) if one.sound("at_least", "at_most", "ratio") else ():
                one.check(key, text)


def _unique(doc: Section, beats: list[Beat | None]) -> None:
    seen: dict[str, tuple[int, str]] = {}
    for at, beat in enumerate(beats):
        if beat is None or not beat.id:
            continue
        first, same = seen.setdefault(beat.id.lower(), (at, beat.id))
        if first != at:
            why = "already" if same == beat.id else "in another case: both takes would be one file on macOS and Windows"
            doc.sections("beats")[at].complain("id", f"{beat.id!r} is the id of beats[{first}] {why}")


def _fits(doc: Section, top: ShowKeys, beats: list[Beat], cuts: tuple[float, ...]) -> None:
    """What the speaker says has to fit each slot: a text that does not fit is an error in the file."""
    if not doc.sound("beats", "slot_min", "cuts_min"):
        return
    for minutes in (top.slot_min, *cuts):
        key = "slot_min" if minutes == top.slot_min else "cuts_min"
        within = [beat for beat in beats if beat.keys.cut <= minutes]
        if beats and not within:
            doc.complain(key, f"the slot of {minutes:g} minutes has no beat: give one a cut of at most {minutes:g}")
        talk_s = math.fsum(beat.keys.say_s for beat in within)
        if talk_s > minutes * 60:
            doc.complain(key, f"the beats of the slot of {minutes:g} minutes take {talk_s:g} s to say")
