"""What the panel tells: `python -m benchmarks.series.live [--data DIR] [--json]`.

Findings as they open, not scores: recall of labelled events and false findings a series-day, per family and for
several budgets of false findings a day, which they should keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.series.data import Labelled, command, load
from benchmarks.series.recall import judge
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.aiops.detect.table import Table
from twofold.records.time import SECOND_NS
from twofold.stats.series.layout import DOWN, GAUGE, OPENED, UP

BUDGETS: Final = (0.05, 0.1, 1.0)


def told(series: Sequence[Labelled], budget: float) -> dict[str, dict[str, float]]:
    """By family: share of events in which a finding opens, and false findings a series-day."""
    table = Table(replace(PanelConfig(), alerts_per_day=budget))
    sums: dict[str, list[float]] = {}
    for each in series:
        at = table.locate(np.full(len(each.value), len(table) + 1, np.int64))
        table.describe(int(at[0]), kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, 0.2))
        _, events = table.learn(at, each.time_s * SECOND_NS, each.value, ranked=False)
        opened_s = np.array([event["time_ns"] // SECOND_NS for event in events if event["what"] == OPENED], np.int64)
        rows = np.searchsorted(each.time_s, opened_s) - each.warm
        delay, false = judge(each, rows[rows >= 0])
        row = sums.setdefault(each.family, [0.0] * 4)
        for k, number in enumerate((int((delay >= 0).sum()), len(delay), false, each.days)):
            row[k] += number
    return {
        name: {"recall": found / max(events_of, 1), "false_per_day": false / days}
        for name, (found, events_of, false, days) in sums.items()
    }


def run(folder: Path) -> dict[str, Any]:
    """Every budget over one folder."""
    series = load(folder)
    return {f"{budget:g}": told(series, budget) for budget in BUDGETS}


def table_of(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{'budget a day':>14s}{'family':>10s}{'recall':>8s}{'false a day':>13s}"]
    for budget, families in found.items():
        for name, row in sorted(families.items()):
            lines.append(f"{budget:>14s}{name:>10s}{row['recall']:8.3f}{row['false_per_day']:13.3f}")
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print."""
    command("live", __doc__, run, table_of)


if __name__ == "__main__":
    main()
