"""Series that are new: `python -m benchmarks.series.priors [--data DIR] [--json]`.

A series is cut off and begins anew every few days; what its first day brings is judged, cold and with what a
sibling has learnt until then. The sibling is the series' own past, as of a pod that is replaced; for the Server Machine
Dataset also the same channel of the other machine, which does other work. False findings are those that
the panel opens at its default budget outside of every label, in the first six hours; recall is that of findings within
the first day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.series.data import Labelled, command, load
from benchmarks.series.recall import EARLY, MERGE
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.aiops.detect.inherit import inherit
from twofold.aiops.detect.table import Table
from twofold.records.time import SECOND_NS
from twofold.stats.series.layout import DOWN, GAUGE, HEAD, OPENED, UP

EVERY_S: Final = 2 * 86_400
LASTS_S: Final = 86_400
FIRST_S: Final = 6 * 3_600
OTHER: Final = "smd, other machine"
CASES: Final = {"iops, replaced": "iops", "smd, replaced": "smd", OTHER: "smd"}
WAYS: Final = ("cold", "inherited", "kept")
"""The last: as if it had never been gone, where the sibling is its own past."""
Counts = dict[str, float]


@dataclass(frozen=True, slots=True)
class Begin:
    """One series that begins at a row, beside a sibling that has learnt until then."""

    series: Labelled
    sibling: Labelled
    at: int

    @property
    def points(self) -> int:
        """Of its first day."""
        return min(int(LASTS_S / self.series.period_s), len(self.series.value) - self.at)


def others(series: list[Labelled]) -> list[tuple[Labelled, Labelled]]:
    """Each series with the same channel of another entity, where there is one."""
    channels: dict[str, list[Labelled]] = {}
    for each in series:
        channels.setdefault(each.name.rpartition("_")[2], []).append(each)
    return [(each, other) for group in channels.values() for each in group for other in group if other is not each]


def _row(table: Table, sid: int) -> int:
    row = int(table.locate(np.array([sid]))[0])
    table.describe(row, kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, 0.2))
    return row


def _learn(table: Table, row: int, series: Labelled, first: int, last: int) -> list[int]:
    """Rows at which findings opened."""
    time_ns = series.time_s[first:last] * SECOND_NS
    at = np.full(last - first, row, np.int32)
    _, events = table.learn(at, time_ns, series.value[first:last], ranked=False)
    opened = [int(event["time_ns"]) for event in events if event["what"] == OPENED]
    rows: list[int] = (np.searchsorted(time_ns, opened) + first).tolist()
    return rows


def begins(series: Labelled, sibling: Labelled) -> Iterator[tuple[int, Table]]:
    """Rows at which the series begins anew, with the sibling's table as of then."""
    table, learnt = Table(PanelConfig()), 0
    row = _row(table, 1)
    step = int(EVERY_S / series.period_s)
    for at in range(step, len(series.value) - HEAD, step):
        until = int(np.searchsorted(sibling.time_s - sibling.time_s[0], series.time_s[at] - series.time_s[0]))
        _learn(table, row, sibling, learnt, until)
        learnt = until
        yield at, table


def first_day(begin: Begin, donor: Table | None, *, kept: bool = False) -> list[int]:
    """Findings of the first day of a new series; `donor` holds its sibling as row 0. `kept`: it is no new series."""
    table = Table(PanelConfig())
    _row(table, 1)
    new = _row(table, 2)
    if kept and donor is not None:
        table.rows[new] = donor.rows[0]
    first, last = begin.at, begin.at + begin.points
    head = min(first + HEAD, last)
    found = _learn(table, new, begin.series, first, head)
    if donor is not None and not kept:
        table.rows[0] = donor.rows[0]
        inherit(table.rows, np.array([new], np.int32), np.array([0], np.int32))
    return found + _learn(table, new, begin.series, head, last)


def judged(begin: Begin, opened: list[int]) -> Counts:
    """False findings of the first hours, events of the first day and those found."""
    series, last = begin.series, begin.at + begin.points
    edge = np.diff(np.concatenate([[0], series.label[begin.at : last], [0]]))
    starts, ends = np.flatnonzero(edge == 1) + begin.at, np.flatnonzero(edge == -1) - 1 + begin.at
    found = sum(any(a - EARLY <= each <= b for each in opened) for a, b in zip(starts, ends, strict=True))
    soon = begin.at + FIRST_S / series.period_s
    false = [
        each
        for each in opened
        if each < soon
        and not series.ignore[each]
        and not any(a - EARLY <= each <= b + MERGE for a, b in zip(starts, ends, strict=True))
    ]
    hours = min(begin.points * series.period_s, FIRST_S) / 3600
    return {"events": len(starts), "found": found, "false": len(false), "hours": hours}


def run(folder: Path) -> dict[str, Any]:
    """Both ways, case by case."""
    series = load(folder)
    found: dict[str, Any] = {}
    for case, family in CASES.items():
        totals: dict[str, Counts] = {}
        count = 0
        picked = [each for each in series if each.family == family]
        for one, sibling in others(picked) if case == OTHER else [(each, each) for each in picked]:
            for at, table in begins(one, sibling):
                begin = Begin(one, sibling, at)
                count += 1
                for name in WAYS[: 2 if case == OTHER else 3]:
                    donor = None if name == "cold" else table
                    sums = totals.setdefault(name, dict.fromkeys(("events", "found", "false", "hours"), 0.0))
                    for key, value in judged(begin, first_day(begin, donor, kept=name == "kept")).items():
                        sums[key] += value
        found[case] = {"begins": count, **{name: _figures(sums) for name, sums in totals.items()}}
    return found


def _figures(sums: Counts) -> Counts:
    return {
        "false_per_day": sums["false"] / max(sums["hours"], 1) * 24,
        "recall": sums["found"] / max(sums["events"], 1),
        "events": sums["events"],
    }


def table_of(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{'':30s}{'begins':>8s}{'events':>8s}{'recall':>8s}{'false a day':>13s}"]
    for case, row in found.items():
        for name in (each for each in WAYS if each in row):
            each = row[name]
            lines.append(
                f"{case:20s}{name:10s}{row['begins']:8d}{each['events']:8.0f}{each['recall']:8.3f}"
                f"{each['false_per_day']:13.3f}"
            )
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print."""
    command("priors", __doc__, run, table_of)


if __name__ == "__main__":
    main()
