"""A recorded case to the live ranking: its metrics, traces and logs become symptoms, its calls the graph."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from benchmarks.incidents import logs, shift, spans
from benchmarks.incidents.case import Case
from twofold.aiops.diagnose import RankConfig
from twofold.aiops.diagnose.rank import rank
from twofold.aiops.diagnose.symptom import Symptom
from twofold.records.entity import Edge, Relation
from twofold.stats.graph import Graph


class Baseline:
    """Fault-free phases of one system, profiled once and used for all its cases."""

    def __init__(self, tables: Mapping[str, list[pa.Table]]) -> None:
        traces = tables.get("traces.csv.gz", [])
        self.profiles = [spans.profile(each) for each in traces]
        self.lines = [
            (logs.count(lines, _operations(trace)), profile.entries)
            for lines, trace, profile in zip(tables.get("logs.csv.gz", []), traces, self.profiles, strict=False)
        ]


def suspects(case: Case, baseline: Baseline, config: RankConfig) -> list[tuple[str, float]]:
    """The case's entities with their share of suspicion, most suspect first."""
    found: list[Symptom] = []
    edges = set(case.edges)
    columns = case.columns
    if case.spans is not None:
        columns = [each for each in columns if "latency" not in each.metric]  # spans tell it better
        later = case.spans.column("start_ms").to_numpy() >= 0
        now, normal = spans.profile(case.spans, later), [*baseline.profiles, spans.profile(case.spans, ~later)]
        found += spans.symptoms(now, normal, config)
        edges |= now.edges().union(*(each.edges() for each in normal))
        found += _logs(case, baseline, (now, normal[-1]), config)
    found += shift.symptoms(columns, config)
    graph = Graph(Edge(source=a, target=b, relation=_relation(b)) for a, b in sorted(edges))
    return [(each.entity, float(each.share)) for each in rank(found, graph, (), config)]


def _logs(
    case: Case, baseline: Baseline, profiles: tuple[spans.Profile, spans.Profile], config: RankConfig
) -> list[Symptom]:
    if case.logs is None or case.spans is None:
        return []
    now, before = profiles
    operations = _operations(case.spans)
    later = case.logs.column("t_ms").to_numpy() >= 0
    return logs.symptoms(
        (logs.count(case.logs, operations, later), now.entries),
        [*baseline.lines, (logs.count(case.logs, operations, ~later), before.entries)],
        config,
    )


def _operations(table: pa.Table) -> dict[int, str]:
    return dict(zip(table.column("span").to_pylist(), table.column("operation").to_pylist(), strict=True))


def _relation(target: str) -> Relation:
    """In the published graphs, hosts are named by their address."""
    return Relation.RUNS_ON if target.replace(".", "").isdigit() else Relation.CALLS
