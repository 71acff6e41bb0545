"""Replayed alert streams through the live grouping: time and topology, alert by alert."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from twofold.aiops.correlate import CorrelateConfig
from twofold.aiops.correlate.group import Group, Groups, Span
from twofold.aiops.correlate.relate import Relatives
from twofold.records.entity import Edge, Relation
from twofold.records.time import MINUTE_NS, SECOND_NS
from twofold.stats.graph import Graph


def groups_of(path: Path, graph: Graph, config: CorrelateConfig) -> tuple[list[str], list[str]]:
    """Faults and found groups of one replay, in the order of its alerts; merges count for earlier alerts too."""
    rows = list(csv.DictReader(path.open()))
    relatives = Relatives(graph, config.hops)
    groups = Groups(
        relatives.of,
        relatives.below,
        gap_ns=int(config.gap_s * SECOND_NS),
        spread_ns=int(config.spread_s * SECOND_NS),
        merge_ns=int(config.merge_s * SECOND_NS),
        late_ns=int(config.late_s * SECOND_NS),
    )
    merged: dict[str, str] = {}
    placed: list[str] = []
    for i, row in enumerate(rows):
        now_ns = int(float(row["t_min"]) * MINUTE_NS)
        span = Span(f"{row['system']}/{row['service']}", now_ns, now_ns)
        survivor, others = groups.join(str(i), span)
        if survivor is None:
            survivor = Group(f"g{i}", (now_ns, str(i)))
            groups.add(str(i), span, survivor)
        merged.update({other.id: survivor.id for other in others})
        placed.append(survivor.id)
    return [row["fault"] for row in rows], [_last(each, merged) for each in placed]


def replays(folder: Path) -> Iterator[tuple[str, Path]]:
    """Gap and path of every replay."""
    for path in sorted(folder.glob("gap*_seed*.csv")):
        yield path.name.split("_")[0], path


def topology(folder: Path) -> Graph:
    """The replays' call graph; names are `system/service`."""
    rows = json.loads((folder / "topology.json").read_text())
    return Graph(
        Edge(source=f"{system}/{caller}", target=f"{system}/{callee}", relation=Relation.CALLS)
        for system, caller, callee in rows
    )


def _last(group: str, merged: dict[str, str]) -> str:
    while group in merged:
        group = merged[group]
    return group
