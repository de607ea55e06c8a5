"""What proves that a machine hangs and what does not; the numbers are those of real machines under QEMU 7.2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.machines import hang
from lab.machines.hang import HangDetector, Reading, Verdict
from lab.machines.vm import heartbeat
from lab.model.paths import HEARTBEAT_LOG

STEP_S = 0.5


def follow(
    seconds: float,
    *,
    share: float,
    age_s: float = 0.0,
    gap_s: float = 1.0,
    beats: bool = True,
    wants: float = 1.0,
    slow: float = 1.0,
) -> tuple[Verdict, float]:
    """A silent machine looked at twice a second; share: of what it wants it gets so much. Verdict and when it fell."""
    pulse, at_s = HangDetector(), 0.0
    verdict: Verdict = "unsure"
    while at_s <= seconds:
        times = ((at_s * wants * share, at_s * wants * (1 - share)),) * 2
        now = Reading(at_s=at_s, life=(1,), beats=beats, cpu_s=times, age_s=age_s + at_s, gap_s=gap_s, slow=slow)
        verdict = pulse.feed(now)
        if verdict == "hung":
            break
        at_s += STEP_S
    return verdict, at_s


def test_a_silent_machine_that_has_its_time_hangs_within_seconds() -> None:
    verdict, after_s = follow(20, share=1.0, age_s=hang.LATE_S)
    assert verdict == "hung"
    assert after_s <= 4


def test_also_one_that_sleeps_for_good() -> None:
    assert follow(20, share=1.0, age_s=hang.LATE_S, wants=0.0)[0] == "hung"


def test_on_a_busy_host_a_hang_takes_longer_to_prove() -> None:
    """Load 20 on two cores: a tenth of a processor for each virtual CPU."""
    assert follow(5, share=0.1, age_s=10)[0] == "unsure"
    verdict, after_s = follow(20, share=0.1, age_s=30)
    assert verdict == "hung"
    assert after_s <= 10


def test_a_counted_clock_stands_still_while_the_processor_works() -> None:
    """Seen: a healthy machine under load, no heartbeat for 9 s, its processor busy for 2.4 of 3.0 s."""
    assert follow(3, share=1.0, wants=0.8, age_s=6)[0] == "hung"
    assert follow(30, share=1.0, wants=0.8, age_s=6, slow=8.0)[0] == "unsure"
    verdict, after_s = follow(90, share=1.0, age_s=6, slow=8.0)
    assert verdict == "hung"
    assert after_s <= 60


def test_a_counted_clock_stands_still_where_the_host_has_no_time_for_it() -> None:
    """Seen at a load of 42: no heartbeat for 58 s, the processor busy for 2.2 of 23.8 s watched; it was healthy."""
    assert follow(24, share=0.1, age_s=34)[0] == "hung"
    assert follow(24, share=0.1, age_s=34, slow=8.0)[0] == "unsure"
    assert follow(60, share=1.0, age_s=6, wants=0.0, slow=8.0)[0] == "hung", "one that sleeps for good"


def test_a_boot_whose_heartbeats_came_slowly_is_given_longer() -> None:
    assert follow(8, share=1.0, age_s=5, gap_s=5.0)[0] == "unsure"
    assert follow(12, share=1.0, age_s=5, gap_s=5.0)[0] == "hung"


def test_one_that_was_stopped_or_whose_host_slept_is_alive_with_its_first_beat() -> None:
    """The wall clock tells of an hour's silence; it beats again 2 s after it went on."""
    pulse = HangDetector()
    for number in range(4):
        at_s = number * STEP_S
        now = Reading(at_s=at_s, life=(1,), beats=True, cpu_s=((at_s, 0.0),), age_s=3600 + at_s)
        assert pulse.feed(now) == "unsure"
    assert pulse.feed(Reading(at_s=2.0, life=(2,), beats=True, cpu_s=((2.0, 0.0),))) == "alive"


def test_time_in_which_nobody_looked_proves_nothing() -> None:
    pulse = HangDetector()
    for at_s in (0.0, 600.0, 600.5):
        assert pulse.feed(Reading(at_s=at_s, life=(1,), beats=True, cpu_s=((0.0, 0.0),), age_s=9 + at_s)) == "unsure"


def test_before_the_first_heartbeat_whatever_goes_on_is_life() -> None:
    """A slow boot of 100 s: new code is translated all the time."""
    pulse = HangDetector()
    for number in range(200):
        at_s = number * STEP_S
        verdict = pulse.feed(Reading(at_s=at_s, life=(number,), beats=False, cpu_s=((at_s, 0.0),)))
        assert verdict != "hung", at_s


def test_before_the_first_heartbeat_a_processor_that_goes_round_hangs() -> None:
    verdict, after_s = follow(30, share=1.0, beats=False)
    assert verdict == "hung"
    assert 8 <= after_s <= 9
    assert follow(30, share=0.2, beats=False)[0] == "unsure"
    assert follow(60, share=1.0, beats=False, wants=0.05)[0] == "unsure", "it waits for something"


def test_one_that_never_comes_up_is_given_twenty_boots() -> None:
    """Its kernel lives and now and then does something new; what it runs spins."""
    now = Reading(at_s=500.0, life=(1,), beats=False, cpu_s=((119.0, 0.0),))
    assert HangDetector().feed(now) == "unsure"
    assert HangDetector().feed(Reading(at_s=500.0, life=(1,), beats=False, cpu_s=((121.0, 0.0),))) == "hung"


def test_the_evidence_is_told_in_words() -> None:
    now = Reading(at_s=0.0, life=(1,), beats=True, cpu_s=(), age_s=13.2, uptime_s=98.9)
    said = hang.words(HangDetector(), now, ["ffffffff810e1725", "ffffffff81c00ba0", "ffffffff81c01199"])
    assert "no heartbeat for 13 s while QEMU runs (up 99 s" in said
    assert "at ffffffff810e1725, ffffffff81c00ba0 and 1 more addresses" in said


def test_the_longest_silence_of_this_boot_is_read_and_bounded(tmp_path: Path) -> None:
    log = tmp_path / HEARTBEAT_LOG

    def told(*beats: tuple[str, float]) -> float:
        lines = [json.dumps({"boot_id": boot, "image_id": "i", "uptime_s": at}) for boot, at in beats]
        log.write_text("\n" + "\n".join(lines) + "\n")
        beat = heartbeat.last_beat(log)
        assert beat is not None
        return beat.gap_s

    assert told(("a", 1.0)) == 1.0
    assert told(("a", 1.0), ("a", 2.2), ("a", 5.4), ("a", 6.4)) == pytest.approx(3.2)
    assert told(("a", 900.0), ("b", 1.0), ("b", 2.0)) == 1.0
    assert told(("a", 1.0), ("a", 1e12)) == heartbeat.GAP_MAX_S, "a guest decides nothing here"


def test_the_first_heartbeat_is_not_steady(tmp_path: Path) -> None:
    """It comes beside systemd's start; the next was seen 8 s later on a busy host."""
    log = tmp_path / HEARTBEAT_LOG
    for number, steady in ((1, False), (2, True)):
        with log.open("a") as file:
            file.write(f'\n{{"boot_id": "b", "image_id": "i", "uptime_s": {number}}}\n')
        beat = heartbeat.last_beat(log)
        assert beat is not None
        assert beat.steady is steady
