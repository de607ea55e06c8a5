"""Rehearsals on disk, what they rest on, and what is still missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.wire import FormSpec
from lab.model.facts import MachineFacts
from lab.model.machine import Machine, MachineSpec
from lab.stage.beat.signals import Signals
from lab.stage.history import ledger
from lab.stage.history.inputs import HostInputs, Inputs, differences, of
from lab.stage.history.ledger import BeatResult, BeatSignals, Figure, Needs, Rehearsal

INPUTS = Inputs(
    machine={"provider": "qemu", "kernel": "6.1.0-29", "cpus": "2"},
    forms={"baseline": "aaaa", "ebpf": "aaaa with agent " + "c" * 64},
    tools={"go": "go1.26.1"},
    show="5" * 64,
    seed=1,
    lab="0.1.0",
)
NEEDS = Needs(slot_s=480.0, says={"one": 200.0, "attach": 0.0}, fallbacks={"attach": "The agent attaches"})
PASSED = (
    BeatResult(beat="one", outcome="passed", seconds=9.0),
    BeatResult(beat="attach", outcome="passed", seconds=8.0),
)


def rehearsal(number: int, **other: object) -> Rehearsal:
    made = Rehearsal(id=f"{number:03}", date="2026-11-29T12:00:00+00:00", inputs=INPUTS, beats=PASSED, seconds=400.0)
    return replace(made, **other)  # type: ignore[arg-type]


def ready() -> list[Rehearsal]:
    drilled = (
        BeatResult(beat="one", outcome="passed", seconds=9.0),
        BeatResult(beat="attach", outcome="recorded", seconds=8.0, drilled=True),
    )
    return [rehearsal(1, beats=drilled), rehearsal(2, network_cut=True), *(rehearsal(n) for n in (3, 4, 5))]


def test_an_input_that_changed_is_named() -> None:
    now = replace(
        INPUTS,
        machine={**INPUTS.machine, "kernel": "6.1.0-31"},
        seed=2,
        forms={"baseline": "aaaa", "ebpf": "aaaa with agent " + "c" * 20 + "d" * 44},
    )
    assert differences(INPUTS, INPUTS) == ()
    assert differences(INPUTS, now) == (
        "kernel: 6.1.0-29 in rehearsal, 6.1.0-31 now",
        "form ebpf: …" + "c" * 12 + "… in rehearsal, …" + "d" * 12 + "… now",
        "seed: 1 in rehearsal, 2 now",
    )
    gone = replace(INPUTS, tools={})
    assert differences(INPUTS, gone) == ("tool go: go1.26.1 in rehearsal, none now",)
    assert differences(gone, INPUTS) == ("tool go: not in rehearsal, go1.26.1 now",)
    assert now.digest != INPUTS.digest


def test_inputs_hold_what_is_known_and_nothing_else() -> None:
    form = FormSpec(name="baseline", mechanism="none", binary="b", sha256="ab", build_id="")
    found = of(
        Machine(spec=MachineSpec(name="m", provider="qemu")),
        MachineFacts.of({"kernel": "6.1.0-29", "cpu_model": "unknown", "cpus": 2}),
        {"baseline": form},
        (),
        HostInputs(show="c" * 64, scenario="a" * 64, service="b" * 64, beside={}, seed=3),
    )
    assert found.machine == {"provider": "qemu", "clock": "real", "kernel": "6.1.0-29", "cpus": "2"}
    assert found.forms["baseline"].startswith("ab, all ")
    assert (found.parts()["scenario file"], found.parts()["service description"]) == ("a" * 64, "b" * 64)
    assert (found.show, found.seed) == ("c" * 64, 3)


def test_what_was_rehearsed_before_the_scenario_was_an_input_is_read_and_void(tmp_path: Path) -> None:
    path = ledger.add(tmp_path, rehearsal(1))
    doc = json.loads(path.read_text())
    del doc["inputs"]["scenario"], doc["inputs"]["service"]
    path.write_text(json.dumps(doc))
    assert ledger.read(tmp_path) == [rehearsal(1)]
    now = replace(INPUTS, scenario="a" * 64)
    assert ledger.stage_ready(ledger.read(tmp_path), now, NEEDS)[0] == (
        "scenario file: not in rehearsal, aaaaaaaaaaaa… now"
    )


def test_a_rehearsal_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    kept = rehearsal(
        7,
        figures=(Figure(beat="one", name="latency_p50", unit="ms", value=4.0, form="ebpf", ratio=1.2),),
        signals=(BeatSignals(beat="one", signals=Signals(steal=0.0, spans={"ebpf": 1.0}, builds={"ebpf": ("aaaa",)})),),
    )
    ledger.add(tmp_path, kept)
    ledger.add(tmp_path, rehearsal(3))
    assert ledger.read(tmp_path) == [rehearsal(3), kept]


def test_a_file_that_is_no_rehearsal_is_left_out(tmp_path: Path) -> None:
    path = ledger.add(tmp_path, rehearsal(1))
    path.with_name("002.json").write_text(path.read_text()[:-40])
    assert ledger.read(tmp_path) == [rehearsal(1)]
    assert ledger.read(tmp_path / "none") == []


def test_five_clean_ones_a_fallback_and_a_cut_network_make_a_show_ready() -> None:
    assert ledger.stage_ready(ready(), INPUTS, NEEDS) == ()
    assert ledger.stage_ready([], INPUTS, NEEDS) == (
        "5 more clean rehearsals in a row",
        "the fallback of “The agent attaches” was never played",
        "no clean rehearsal with the network cut",
    )


def test_a_miss_breaks_the_row() -> None:
    missed = rehearsal(6, beats=(BeatResult(beat="one", outcome="missed", seconds=9.0),))
    assert ledger.stage_ready([*ready(), missed], INPUTS, NEEDS) == (
        "5 more clean rehearsals in a row (the last one: one missed)",
    )
    assert ledger.stage_ready([*ready(), missed, rehearsal(7)], INPUTS, NEEDS) == ("4 more clean rehearsals in a row",)


def test_a_rehearsal_that_a_key_ended_counts_for_nothing_and_breaks_nothing() -> None:
    stopped = rehearsal(6, beats=PASSED[:1], whole=False, network_cut=True)
    assert ledger.stage_ready([*ready(), stopped], INPUTS, NEEDS) == ()
    assert ledger.stage_ready([*ready()[:4], stopped], INPUTS, NEEDS) == (
        "1 more clean rehearsal in a row (the last one: stopped early)",
    )
    assert "no clean rehearsal with the network cut" in ledger.stage_ready([rehearsal(1), stopped], INPUTS, NEEDS)
    in_a_beat = replace(stopped, beats=(replace(PASSED[0], outcome="stopped"),))
    assert "5 more" in ledger.stage_ready([*ready(), in_a_beat], INPUTS, NEEDS)[0]


def test_the_slot_holds_19_of_20() -> None:
    long = (replace(PASSED[0], seconds=300.0), replace(PASSED[1], seconds=200.0))
    slow = [*ready()[:4], rehearsal(5, beats=long)]
    assert ledger.stage_ready(slow, INPUTS, NEEDS) == (
        "the show takes 500 s in 95 of 100 rehearsals; its slot has 480 s",
    )
    many = [*slow, *(rehearsal(n) for n in range(6, 21))]
    assert ledger.stage_ready(many, INPUTS, NEEDS) == ()


SHORT = Needs(slot_s=200.0, says={"one": 150.0}, fallbacks={})


def test_beats_that_a_slot_leaves_out_take_none_of_its_time() -> None:
    long = (PASSED[0], replace(PASSED[1], seconds=400.0))
    rehearsals = [replace(one, beats=long) for one in ready()]
    assert ledger.stage_ready(rehearsals, INPUTS, SHORT) == ()
    assert "takes 600 s" in ledger.stage_ready(rehearsals, INPUTS, NEEDS)[0]


def test_a_rehearsal_of_a_shorter_slot_does_not_count_for_the_whole_show() -> None:
    first = replace(ready()[0], network_cut=True)
    shorter = [rehearsal(number, beats=PASSED[:1], seconds=9.0) for number in range(2, 6)]
    assert ledger.stage_ready([first, *shorter], INPUTS, NEEDS) == (
        "4 more clean rehearsals in a row (the last one was without attach)",
    )
    assert ledger.stage_ready([first, *shorter], INPUTS, SHORT) == ()
    cut = [*shorter, rehearsal(6, beats=PASSED[:1], network_cut=True)]
    assert "no clean rehearsal with the network cut" in ledger.stage_ready(cut, INPUTS, NEEDS)


def test_a_rehearsal_of_a_shorter_slot_breaks_no_row_unless_a_beat_missed() -> None:
    good, bad = rehearsal(6, beats=PASSED[:1]), rehearsal(6, beats=(replace(PASSED[0], outcome="missed"),))
    assert ledger.stage_ready([*ready(), good], INPUTS, NEEDS) == ()
    assert "5 more" in ledger.stage_ready([*ready(), bad], INPUTS, NEEDS)[0]


def test_a_beat_that_is_left_out_breaks_no_row() -> None:
    missed = rehearsal(6, beats=(PASSED[0], replace(PASSED[1], outcome="missed")))
    assert ledger.stage_ready([*ready(), missed], INPUTS, SHORT) == ()
    assert "attach missed" in ledger.stage_ready([*ready(), missed], INPUTS, NEEDS)[0]


def test_a_rehearsal_in_which_the_laptop_slept_counts_for_nothing_and_breaks_nothing() -> None:
    slept = rehearsal(6, slept_s=63.0, network_cut=True)
    assert not slept.clean
    assert rehearsal(6, slept_s=1.0).clean, "two clocks are never read at the same moment"
    assert ledger.stage_ready([*ready(), slept], INPUTS, NEEDS) == ()
    assert ledger.clean_ones([*ready(), slept], INPUTS) == ready()
    lacks = ledger.stage_ready([*ready()[:1], slept], INPUTS, NEEDS)
    assert lacks == (
        "4 more clean rehearsals in a row (the last one: this laptop slept for 63 s)",
        "no clean rehearsal with the network cut",
    )


@pytest.mark.parametrize("changed", [{"seed": 2}, {"lab": "0.2.0"}, {"show": "6" * 64}, {"tools": {"go": "go1.27"}}])
def test_a_changed_input_voids_what_was_rehearsed_and_names_itself(changed: dict[str, object]) -> None:
    now = replace(INPUTS, **changed)  # type: ignore[arg-type]
    first, *rest = ledger.stage_ready(ready(), now, NEEDS)
    assert first == differences(INPUTS, now)[0]
    assert rest[0] == "5 more clean rehearsals in a row"
