"""Score the cause ranking and the grouping that run live, on recorded faults, beside peers that are one rule each.

    python -m benchmarks.incidents [--quick] [--data DIR] [--json]

The data folder holds `rca/` (see CONTRIBUTING for its sources); without --data it is $TWOFOLD_DATA, else
`../shared/data` beside the checkout. The ranking sees everything of a case but its labels, with the true
detection time; one fixed configuration for all systems. --quick takes every third case and one replay a gap.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.incidents import nezha, petshop, replays, rules, score
from benchmarks.incidents.case import Case
from benchmarks.incidents.ranking import Baseline, suspects
from twofold.aiops.correlate import CorrelateConfig
from twofold.aiops.diagnose import RankConfig

QUICK_STEP = 3
RULES = {"max_z": rules.max_z, "baro": rules.baro}


def cases(data: Path, step: int) -> Iterator[tuple[Case, Baseline]]:
    """Every `step`-th case of each system, with the system's fault-free phases."""
    for system in ("nezha-ob", "nezha-tt"):
        normal = nezha.load_normal(data / system)
        baseline = Baseline(normal)
        for folder in sorted((data / system).glob("nz-*"))[::step]:
            yield nezha.load(folder, system=system), baseline
    nothing = Baseline({})
    for i, case in enumerate(petshop.load(data / "petshop" / "low_traffic")):
        if i % step == 0:
            yield case, nothing


def run_ranking(data: Path, step: int) -> dict[str, Any]:
    """Scores of ours and of the rules, and our seconds per case, data already in memory."""
    places: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    spent: list[float] = []
    for case, baseline in cases(data, step):
        began = time.perf_counter()
        ranked = suspects(case, baseline, RankConfig())
        spent.append(time.perf_counter() - began)
        places["ours"][case.system].append(score.worst_rank(ranked, case.true))
        for name, rule in RULES.items():
            places[name][case.system].append(score.worst_rank(rule(case.columns), case.true))
    tables = {name: score.rank_scores(found) for name, found in places.items()}
    ours = tables.pop("ours")
    return {**_by_key(ours), "seconds_per_case": sum(spent) / len(spent), "cases": len(spent),
            "peers": {name: _by_key(table) for name, table in tables.items()}}  # fmt: skip


def run_grouping(data: Path, *, quick: bool) -> dict[str, Any]:
    """Agreement of the live grouping with the faults, per gap."""
    graph = replays.topology(data / "replays")
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for gap, path in replays.replays(data / "replays"):
        if not quick or not rows[gap]:
            rows[gap].append(score.group_scores(*replays.groups_of(path, graph, CorrelateConfig())))
    found = score.mean_rows(rows)
    return {key: {gap: row[key] for gap, row in found.items()} for key in ("ari", "groups_per_fault", "compression")}


def _by_key(table: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {key: {system: round(row[key], 4) for system, row in table.items()} for key in ("ac1", "ac3", "avg5")}


def _print(result: dict[str, Any]) -> None:
    systems = list(result["ac1"])
    print(f"{'':10s}" + "".join(f"{system:>22s}" for system in systems) + "   (ac1 / ac3 / avg5)")
    for name, row in {"ours": result, **result["peers"]}.items():
        cells = (f"{row['ac1'][s]:.2f} / {row['ac3'][s]:.2f} / {row['avg5'][s]:.2f}" for s in systems)
        print(f"{name:10s}" + "".join(f"{cell:>22s}" for cell in cells))
    print(f"{result['cases']} cases, {result['seconds_per_case']:.2f} s each")
    for gap, value in result["ari"].items():
        print(f"grouping, {gap}: ARI {value:.2f}, {result['groups_per_fault'][gap]:.1f} groups a fault")


def main() -> int:
    """Run both halves; 2 when the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TWOFOLD_DATA", beside)))
    args = parser.parse_args()
    data = args.data / "rca"
    if not data.is_dir():
        print(f"no fault cases in {data}: give --data or TWOFOLD_DATA a folder that holds rca/", file=sys.stderr)
        return 2
    result = {**run_ranking(data, QUICK_STEP if args.quick else 1), **run_grouping(data, quick=args.quick)}
    if args.json:
        print(json.dumps(result))
    else:
        _print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
