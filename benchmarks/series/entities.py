"""Whole machines: `python -m benchmarks.series.entities [--data DIR] [--json]`.

The detector of entities against the labelled windows of the Server Machine Dataset's machines, beside the largest rank
that the panel gives to any series of the machine (what an operator has without it). Ranks are judged as
`benchmarks.series` does, an entity for a series; `live` is what the stage itself told at its default budget, with false
findings an entity and day; so for pairs of series that part, which are off by default.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.series.data import Floats, Int64s, Labelled, command
from benchmarks.series.detectors import panel
from benchmarks.series.recall import judge, recall
from twofold.aiops.detect.joint.bars import Bars
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.detect.joint.members import Members
from twofold.stats.joint import layout
from twofold.stats.joint.learn import learn
from twofold.stats.series.layout import GAUGE

BUDGETS: Final = (0.1, 1.0)
WARM_SHARE: Final = 0.15


@dataclass(frozen=True, slots=True)
class Machine:
    """All series of one entity on one clock, shape (series, ticks), with the windows of the whole machine."""

    truth: Labelled
    names: tuple[str, ...]
    values: Floats


def load(folder: Path) -> list[Machine]:
    """Entities with windows of their own."""
    meta = json.loads((folder / "labels.json").read_text())
    found = []
    for entity, windows in sorted(meta.get("entities", {}).items()):
        names = tuple(sorted(name for name, info in meta["series"].items() if info.get("entity") == entity))
        tables = [pq.read_table(folder / f"{name}.parquet", columns=["timestamp", "value"]) for name in names]
        time_s = tables[0]["timestamp"].to_numpy().astype(np.int64)
        label = np.zeros(len(time_s), np.int64)
        for first, last in windows:
            label |= (time_s >= first) & (time_s <= last)
        truth = Labelled(
            name=entity,
            family="entities",
            period_s=float(meta["series"][names[0]]["period_s"]),
            time_s=time_s,
            value=np.zeros(len(time_s)),
            label=label,
            warm=int(WARM_SHARE * len(time_s)),
            ignore=np.zeros(len(time_s), np.bool_),
            windows=(),
        )
        found.append(
            Machine(truth, names, np.stack([table["value"].to_numpy().astype(np.float64) for table in tables]))
        )
    return found


def largest(machine: Machine) -> Floats:
    """The panel's largest rank among the machine's series, tick by tick."""
    score, _ = panel()
    truth = machine.truth
    ranks = [
        score(
            Labelled(
                name=name,
                family=truth.family,
                period_s=truth.period_s,
                time_s=truth.time_s,
                value=value,
                label=truth.label,
                warm=truth.warm,
                ignore=truth.ignore,
                windows=(),
            )
        )
        for name, value in zip(machine.names, machine.values, strict=True)
    ]
    found: Floats = np.max(ranks, axis=0)
    return found


@dataclass(frozen=True, slots=True)
class Told:
    """What the kernel said of one machine: its rank by tick, rows at which findings opened by kind, CPU seconds."""

    rank: Floats
    opened: dict[int, Int64s]
    cpu_s: float


def told(machine: Machine, config: JointConfig) -> Told:
    """The kernel over the machine, a tick at a time."""
    series, ticks = machine.values.shape
    members = Members(config.max_ring, apart=config.apart)
    at = members.locate(np.arange(1, series + 1))
    for row in range(series):
        members.describe(row, entity=machine.truth.name, kind=GAUGE)
    walk, state = members.rings(), (members.series, members.pairs, members.entities)
    params, events = config.params(), np.zeros(2 * series + 64, layout.EVENT)
    rank, bars = np.zeros(ticks), Bars(config.alerts_per_day)
    bars.meet(1, float(machine.truth.time_s[0]))
    opened: dict[int, list[int]] = {layout.TOGETHER: [], layout.APART: []}
    begin = 0.0
    for tick in range(ticks):
        samples = at, np.full(series, machine.truth.time_s[tick] * 10**9), machine.values[:, tick]
        _, written = learn(state, samples, walk, config.tick_ns, params, 0, events)
        begin = begin or time.process_time()
        rank[tick] = members.entities["total"][0]
        for event in events[:written]:
            kind, what = int(event["kind"]), int(event["what"])
            if kind == layout.TOGETHER:
                passes = what == layout.OPENED
            else:
                passes = what != layout.CLOSED and bars.passes(
                    0, float(event["score"]), float(machine.truth.time_s[tick])
                )
            if passes:
                opened[kind].append(tick)
    return Told(rank, {kind: np.unique(rows) for kind, rows in opened.items()}, time.process_time() - begin)


def figures(machines: Sequence[Machine], ranks: Sequence[Floats]) -> dict[str, float]:
    """Recall within the budgets, and the median delay at the tighter."""
    (tight, delay), (loose, _) = recall([each.truth for each in machines], ranks, BUDGETS)
    return {"recall_0_1": tight, "recall_1": loose, "delay_points": delay}


def live(machines: Sequence[Machine], opened: Sequence[Int64s]) -> dict[str, float]:
    """What openings found, and false ones an entity-day."""
    judged = [
        judge(each.truth, rows[rows >= each.truth.warm] - each.truth.warm)
        for each, rows in zip(machines, opened, strict=True)
    ]
    events, days = sum(len(delay) for delay, _ in judged), sum(each.truth.days for each in machines)
    found = sum(int((delay >= 0).sum()) for delay, _ in judged)
    return {"recall": found / max(events, 1), "false_per_day": sum(false for _, false in judged) / days}


def run(folder: Path) -> dict[str, Any]:
    """Everything."""
    machines = load(folder)
    period_s = machines[0].truth.period_s
    plain = [told(each, JointConfig(tick_s=period_s)) for each in machines]
    pairs = [told(each, JointConfig(tick_s=period_s, apart=True)) for each in machines]
    loose = [told(each, JointConfig(tick_s=period_s, apart=True, alerts_per_day=1.0)) for each in machines]
    points = sum(each.values.size for each in machines)
    return {
        "entities": len(machines),
        "series": sum(len(each.names) for each in machines),
        "events": sum(len(each.truth.events()[0]) for each in machines),
        **figures(machines, [each.rank for each in plain]),
        "live": live(machines, [each.opened[layout.TOGETHER] for each in plain]),
        "pairs_live": live(machines, [each.opened[layout.APART] for each in pairs]),
        "pairs_live_1": live(machines, [each.opened[layout.APART] for each in loose]),
        "largest_of_panel": figures(machines, [largest(each) for each in machines]),
        "ns_per_point": sum(each.cpu_s for each in plain) / points * 1e9,
        "pairs_ns_per_point": sum(each.cpu_s for each in pairs) / points * 1e9,
        "bytes_per_series": layout.SERIES.itemsize,
        "pairs_bytes_per_series": layout.SERIES.itemsize + layout.PAIR.itemsize,
    }


def table_of(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{found['entities']} machines, {found['series']} series, {found['events']} events"]
    lines.append(f"{'':28s}{'recall .1':>10s}{'recall 1':>10s}{'delay':>7s}")
    for name, row in (("entity as a whole", found), ("largest rank of the panel", found["largest_of_panel"])):
        lines.append(f"{name:28s}{row['recall_0_1']:10.3f}{row['recall_1']:10.3f}{row['delay_points']:7.1f}")
    for name, key in (
        ("told live, entity", "live"),
        ("told live, pairs", "pairs_live"),
        ("… with a budget of 1", "pairs_live_1"),
    ):
        row = found[key]
        lines.append(f"{name:28s}{row['recall']:10.3f} of events at {row['false_per_day']:.3f} false a day")
    lines.append(
        f"{found['ns_per_point']:.0f} ns a point, {found['bytes_per_series']} bytes a series; "
        f"with pairs {found['pairs_ns_per_point']:.0f} ns, {found['pairs_bytes_per_series']} bytes"
    )
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print."""
    command("entities", __doc__, run, table_of)


if __name__ == "__main__":
    main()
