"""Metric anomalies, side by side: `python -m benchmarks.series [--quick] [--data DIR] [--json]`.

Prints recall at 0.1 and 1 false alerts a series-day, VUS-PR, NAB, the delay of what was found, speed and
memory, per family and as the mean over the families. NAB has a score of its own and is left out of the means.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.series.data import Floats, Labelled, load
from benchmarks.series.detectors import panel, rolling_median, timed
from benchmarks.series.nab import nab
from benchmarks.series.recall import recall
from benchmarks.series.vus import mean_vus

HERE = Path(__file__).resolve().parents[2]
BUDGETS = (0.1, 1.0)
MEANS = ("recall_0_1", "recall_1", "vus_pr", "delay_points")
QUICK = {"most_per_family": 12, "most_points": 60_000}


def judge(series: Sequence[Labelled], scores: Sequence[Floats]) -> dict[str, Any]:
    """Every figure, by family and as means."""
    rows: dict[str, dict[str, Any]] = {}
    for family in sorted({each.family for each in series}):
        picked = [(each, score) for each, score in zip(series, scores, strict=True) if each.family == family]
        members, found = [each for each, _ in picked], [score for _, score in picked]
        (tight, delay), (loose, _) = recall(members, found, BUDGETS)
        rows[family] = {
            "series": len(members),
            "recall_0_1": tight,
            "recall_1": loose,
            "delay_points": delay,
            "vus_pr": mean_vus(members, found),
        }
        if family == "nab":
            rows[family]["nab"] = nab(members, found)
    judged = [row for family, row in rows.items() if family != "nab"]
    means = {key: float(np.nanmean([row[key] for row in judged])) if judged else math.nan for key in MEANS}
    return {**means, "nab": rows.get("nab", {}).get("nab", {}).get("standard", math.nan), "families": rows}


def run(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Both detectors over one folder."""
    series = load(folder, **QUICK) if quick else load(folder)
    points = sum(len(each.value) for each in series)
    score, table = panel()
    ours, ours_s = timed(score, series)
    peer, peer_s = timed(rolling_median, series)
    return {
        **judge(series, ours),
        "points_per_s": points / ours_s,
        "bytes_per_series": table.bytes_per_series,
        "peer": {"name": "rolling median", **judge(series, peer), "points_per_s": points / peer_s},
        "series": len(series),
        "points": points,
        "sample": "first 12 series of each family with at most 60,000 points" if quick else "all",
    }


def table_of(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{found['series']} series, {found['points']:,} points ({found['sample']}); CPU time, one core"]
    lines.append(f"{'':24s}{'recall .1':>10s}{'recall 1':>10s}{'VUS-PR':>8s}{'delay':>7s}{'NAB':>7s}")
    for name, result in (("panel", found), ("rolling median", found["peer"])):
        for family, row in [*result["families"].items(), ("mean without nab", result)]:
            score = row.get("nab", math.nan)
            score = score["standard"] if isinstance(score, dict) else score
            lines.append(
                f"{name:16s}{family:>18s}{row['recall_0_1']:8.3f}{row['recall_1']:8.3f}{row['vus_pr']:8.3f}"
                f"{row['delay_points']:7.1f}{score:7.1f}"
            )
    ratio = found["points_per_s"] / found["peer"]["points_per_s"]
    lines.append(
        f"panel {found['points_per_s'] / 1e6:.2f} M points/s ({ratio:.2f} x the peer), "
        f"{found['bytes_per_series']} bytes a series"
    )
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.series", description=__doc__)
    default = Path(os.environ.get("TWOFOLD_DATA", HERE.parent / "shared" / "data")) / "series"
    parser.add_argument(
        "--data", type=Path, default=default, help="folder with labels.json and <family>/<name>.parquet"
    )
    parser.add_argument("--quick", action="store_true", help="a sample, in under 45 s")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    parser.add_argument("--prepare", action="store_true", help="nothing to prepare: compile the kernels and end")
    args = parser.parse_args()
    if not (args.data / "labels.json").exists():
        parser.exit(2, f"no labelled series in {args.data}: set TWOFOLD_DATA or --data\n")
    if args.prepare:
        args.quick = True
    found = run(args.data, quick=args.quick)
    print(json.dumps(found) if args.json else table_of(found))


if __name__ == "__main__":
    main()
