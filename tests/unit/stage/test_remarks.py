"""The short messages at the foot of the terminal."""

from __future__ import annotations

from lab.stage.speaker.remarks import MOST, STAYS_S, TURN_S, Remarks
from lab.stage.stream.events import Remark


def warned(count: int) -> Remarks:
    found = Remarks()
    for number in range(count):
        found.add(Remark(text=f"warning {number}", level="warning"), 0.0, waits=True)
    return found


def shown(remarks: Remarks, now_s: float, most: int = 1) -> list[str]:
    texts = [one.text for one in remarks.newest(now_s, most)]
    remarks.seen(now_s, len(texts))
    return texts


def test_each_warning_of_a_small_screen_is_seen() -> None:
    """Of four at the start each is there for some seconds, the last one as long as any."""
    remarks = warned(4)
    seen = [shown(remarks, at_s) for at_s in range(100)]
    assert seen[0] == ["warning 3"], "the newest first"
    times = [sum([f"warning {number}"] == one for one in seen) for number in (3, 2, 1, 0)]
    assert times == [TURN_S, TURN_S, TURN_S, STAYS_S]
    assert seen[-1] == []


def test_a_warning_that_had_to_make_room_begins_again() -> None:
    remarks = warned(1)
    assert shown(remarks, 0.0) == ["warning 0"]
    remarks.add(Remark(text="new", level="warning"), 3.0, waits=True)
    assert shown(remarks, 3.0) == ["new"]
    assert shown(remarks, 3.0 + TURN_S) == ["warning 0"]
    assert shown(remarks, 3.0 + TURN_S + STAYS_S - 1) == ["warning 0"]
    assert shown(remarks, 3.0 + TURN_S + STAYS_S) == []


def test_what_was_going_on_does_not_come_back() -> None:
    """ "Restoring …" is over when its end was told."""
    remarks = Remarks()
    remarks.add(Remark(text="restoring …"), 0.0)
    assert shown(remarks, 0.0) == ["restoring …"]
    remarks.add(Remark(text="restored", level="warning"), 28.0, waits=True)
    assert shown(remarks, 28.0) == ["restored"]
    assert all("restoring …" not in shown(remarks, float(at_s)) for at_s in range(29, 100))


def test_answers_to_keys_push_no_warning_out() -> None:
    remarks = warned(3)
    for number in range(2 * MOST):
        remarks.add(Remark(text=f"answer {number}"), 1.0)
    seen = {text for at_s in range(1, 200) for text in shown(remarks, float(at_s))}
    assert {"warning 0", "warning 1", "warning 2"} <= seen


def test_the_same_words_are_kept_once() -> None:
    remarks = warned(2)
    remarks.add(Remark(text="warning 0", level="warning"), 1.0, waits=True)
    assert shown(remarks, 1.0, 3) == ["warning 0", "warning 1"]


def test_a_warning_for_which_there_was_no_line_was_not_seen() -> None:
    remarks = warned(2)
    for at_s in range(40):
        remarks.newest(float(at_s), 3)
        remarks.seen(float(at_s), 1)
    assert [one.text for one in remarks.newest(40.0, 3)] == ["warning 0"]
