"""How often the verdict is wrong, by simulation, as Markdown tables with 95 % intervals.

    ./labw python -m tests.simulate [-n REPORTS]

A session is two instrumented forms beside baseline and twin, judged by the product's own code with its controls taken
as seen and no noise known from before: the setting in which most false words are possible.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from tests.simulate import study
from tests.simulate.noise import KINDS, blocks_of


def main() -> int:
    """Print every table."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-n", "--reports", type=int, default=1000, metavar="REPORTS")
    reports = parser.parse_args().reports
    head = ("noise", "blocks", "reports with a false word", "95 % intervals that hold", "they claim", "power")
    table(head, (_kind(kind, blocks, reports) for kind in KINDS for blocks in blocks_of(kind)))
    order = (
        "what happens",
        "fixed order: false words",
        "largest effect",
        "random: false words",
        "largest effect",
    )
    table(order, (_phantom(name, reports) for name in study.PHANTOMS))
    cost = study.analysis(1000)
    print(f"Verdict over {cost.cells:,} cells: {cost.seconds:.2f} s, at most {cost.mib:.0f} MiB held.")
    return 0


def _kind(kind: str, blocks: int, reports: int) -> Sequence[object]:
    hold, claim = study.covered(kind, blocks, reports)
    return (
        kind,
        blocks,
        study.false_words(kind, blocks, reports),
        hold,
        f"{claim:.1%}",
        study.power(kind, blocks, max(1, reports // 2)),
    )


def _phantom(name: str, reports: int) -> Sequence[object]:
    found = [study.phantom(name, 12, reports, fixed=fixed) for fixed in (True, False)]
    return (name, *(cell for words, size in found for cell in (words, f"{size:.1f} %")))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """As Markdown, each row as soon as it is there."""
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    print()


if __name__ == "__main__":
    sys.exit(main())
