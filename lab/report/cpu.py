"""CPU per request, stacked by role. BPF programs are part of the service's time: outlined, not added."""

from __future__ import annotations

from typing import Final

from lab.guest.wire import COUNTED
from lab.model import figures
from lab.model.machine import INSTRUCTION_NS
from lab.model.metrics import headline
from lab.model.summary import Summary
from lab.report import phrases
from lab.report.form_style import box, doubted, drawing, label, lane, legend, line, looks
from lab.report.markup import Html, number, part, table, tag

WIDTH: Final = 1120.0
NAMES_W: Final = 150.0
ROW_H: Final = 38.0
VALUE_W, WORD_W = 90.0, 190.0  # beside the longest bar: its size; with a word
WHY_LONGEST: Final = 120  # characters of a reason that fit beside the names
PARTS: Final = (
    ("service_user", "service, user", "s-su"),
    ("service_system", "service, system", "s-ss"),
    ("agent_user", "agent, user", "s-au"),
    ("agent_system", "agent, system", "s-as"),
)


def section(summary: Summary) -> Html:
    return part(
        "cpu",
        "Where the CPU went",
        f"{_unit(summary)} per request{_level(summary)}, service and agent together. The service's time includes "
        "traps and BPF programs: the outlined part is theirs and is not added.",
        legend(*((css, text) for _, text, css in PARTS), ("s-bpf", "of it: BPF programs")),
        tag("div", _draw(summary), class_="scroll"),
        _table(summary),
    )


def _unit(summary: Summary) -> str:
    if summary.clock != COUNTED:
        return "Milliseconds of CPU"
    return f"Milliseconds of the counted clock (each is {1_000_000 // INSTRUCTION_NS:,} instructions, not time)"


def _level(summary: Summary) -> str:
    """Where there are several: it is the one of the verdicts."""
    several = len({cell.level for cell in summary.timeline}) > 1
    return f" at the load {summary.level}" if several and summary.level else ""


def _draw(summary: Summary) -> Html:
    look = looks(summary)
    forms = {name: form.cpu for name, form in summary.forms.items()}
    top = max((sum(cpu.get(key, 0.0) for key, _, _ in PARTS) for cpu in forms.values()), default=0.0) or 1.0
    words = {name: _word(summary, name) for name in forms}
    room = WIDTH - NAMES_W - (WORD_W if any(words.values()) else VALUE_W)
    parts: list[Html] = []
    for index, (name, cpu) in enumerate(forms.items()):
        y = ROW_H * index
        x, bars = NAMES_W, list[Html]()
        parts += lane(look[name], y + ROW_H / 2, name, NAMES_W)
        for key, role, css in PARTS:
            width = cpu.get(key, 0.0) / top * room
            if width <= 0:
                continue
            bars.append(box(x, y + 7, width, ROW_H - 14, css, f"{name}: {role} {figures.amount(cpu[key])} ms"))
            if width > 46:
                bars.append(label(x + 6, y + ROW_H / 2 + 4, figures.amount(cpu[key]), f"on {css}-text"))
            if key == "service_system" and cpu.get("bpf_run"):
                wide = min(cpu["bpf_run"] / top * room, width)
                bars.append(
                    box(x + width - wide, y + 7, wide, ROW_H - 14, "s-bpf", f"BPF {figures.amount(cpu['bpf_run'])} ms")
                )
            x += width
        whole = sum(cpu.get(key, 0.0) for key, _, _ in PARTS)
        word = words[name]
        said = f"{figures.amount(whole)} ms{word and f', {word}'}" if cpu else _why(summary, name)
        parts += doubted(word, *bars)
        parts.append(label(x + 8, y + ROW_H / 2 + 4, said, "value dim" if word else "value strong"))
    parts.append(line(NAMES_W, 0, NAMES_W, ROW_H * len(forms), "zero"))
    return drawing(WIDTH, ROW_H * len(forms) + 4, "CPU per request by form, stacked by role; figures below.", *parts)


def _word(summary: Summary, name: str) -> str:
    return phrases.unsafe(summary, name, headline(summary.clock)[0], level=summary.level or None)


def _why(summary: Summary, name: str) -> str:
    why = summary.forms[name].absent.get("cpu", f"no valid cell{_level(summary)}")
    return why if len(why) <= WHY_LONGEST else why[: WHY_LONGEST - 1] + "…"


def _table(summary: Summary) -> Html:
    keys = ("service_user", "service_system", "bpf_run", "agent_user", "agent_system", "sink_user", "sink_system",
            "load_user", "load_system")  # fmt: skip
    rows = []
    for name, form in summary.forms.items():
        memory = form.memory
        level = form.at(summary.level)
        rows.append(
            (name, *(number(figures.amount(form.cpu.get(key))) for key in keys),
             number(figures.amount(level.cpu_ms_per_span if level else None)),
             number(figures.amount(memory.get("service_mib"))), number(figures.amount(memory.get("agent_mib"))))
        )  # fmt: skip
    head = ("form", "service user", "system", "of it BPF", "agent user", "system", "sink user", "system", "load user",
            "system", "per span", "service MiB", "agent MiB")  # fmt: skip
    return tag("details", tag("summary", "CPU per request in ms, all roles, and memory"), table(head, rows))
