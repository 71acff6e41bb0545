"""Metric anomalies, side by side: `python -m benchmarks.series [--quick] [--alone] [--data DIR] [--json]`.

Prints recall at 0.1 and 1 false alerts a series-day, VUS-PR, NAB, the delay of what was found, speed and memory, as
the mean over the families and recall by family; NAB has a score of its own and is left out of the means. Peers that
`make peers` has set up run on the same series, or, where they are slow, on a stated sample beside the panel there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.series import peers
from benchmarks.series.data import Floats, Labelled, default_folder, load
from benchmarks.series.detectors import panel, timed
from benchmarks.series.nab import nab
from benchmarks.series.recall import recall
from benchmarks.series.vus import mean_vus

BUDGETS = (0.1, 1.0)
MEANS = ("recall_0_1", "recall_1", "vus_pr", "delay_points")
QUICK = {"most_per_family": 12, "most_points": 60_000}
FEW = {"most_per_family": 12, "most_points": 5_000}
SLOW = {"streamad SPOT"}
"""Peers that see the quick sample, or in a quick run the few."""


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


def run(folder: Path, *, quick: bool, alone: bool = False) -> dict[str, Any]:
    """The panel and its peers over one folder."""
    series = load(folder, **QUICK) if quick else load(folder)
    ours = _panel(series)
    names = ["rolling median"] if alone else peers.names()
    beside = {name: _peer(name, series) for name in names if name not in SLOW}
    sample = FEW if quick else QUICK
    small = load(folder, **sample)
    for name in names:
        if name in SLOW and small:
            beside[name] = {**_peer(name, small), "panel": _panel(small), "sample": _words(sample)}
    return {**ours, "peers": beside, "series": len(series), "sample": _words(QUICK) if quick else "all"}


def _words(sample: dict[str, int]) -> str:
    return f"first {sample['most_per_family']} series of each family with at most {sample['most_points']:,} points"


def _panel(series: Sequence[Labelled]) -> dict[str, Any]:
    score, table = panel()
    scores, cpu_s = timed(score, series)
    return _figures(series, scores, cpu_s, table.bytes_per_series)


def _peer(name: str, series: Sequence[Labelled]) -> dict[str, Any]:
    found = peers.run(name, series)
    return _figures(series, found.scores, found.cpu_s, found.bytes_per_series)


def _figures(series: Sequence[Labelled], scores: Sequence[Floats], cpu_s: float, size: int) -> dict[str, Any]:
    points = sum(len(each.value) for each in series)
    return {**judge(series, scores), "points": points, "points_per_s": points / cpu_s, "bytes_per_series": size}


def table_of(found: dict[str, Any]) -> str:
    """The same for people."""
    rows = [("panel", found)]
    for name, row in found["peers"].items():
        if "panel" in row:
            rows.append((f"panel, on the sample of {name}", row["panel"]))
        rows.append((name, row))
    families = list(found["families"])
    lines = [f"{found['series']} series, {found['points']:,} points ({found['sample']}); CPU time, one core"]
    lines += [f"{name} on the {row['sample']}" for name, row in found["peers"].items() if "sample" in row]
    head = f"{'':36s}{'recall .1':>10s}{'recall 1':>10s}{'VUS-PR':>8s}{'NAB':>7s}{'delay':>7s}"
    lines.append(head + f"{'M points/s':>12s}{'bytes':>9s}   recall .1 in {', '.join(families)}")
    for name, row in rows:
        shares = " ".join(f"{row['families'][each]['recall_0_1']:.2f}" for each in families if each in row["families"])
        lines.append(
            f"{name:36s}{row['recall_0_1']:10.3f}{row['recall_1']:10.3f}{row['vus_pr']:8.3f}{row['nab']:7.1f}"
            f"{row['delay_points']:7.1f}{row['points_per_s'] / 1e6:12.3f}{row['bytes_per_series']:9,d}   {shares}"
        )
    if len(rows) < len(peers.ROOMS):
        lines.append("some peers did not run: `make peers` sets them up")
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.series", description=__doc__)
    layout = "folder with labels.json and <family>/<name>.parquet"
    parser.add_argument("--data", type=Path, default=default_folder(), help=layout)
    parser.add_argument("--quick", action="store_true", help="a sample, in under 45 s")
    parser.add_argument("--alone", action="store_true", help="only the panel and the rolling median")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    parser.add_argument("--prepare", action="store_true", help="nothing to prepare: compile the kernels and end")
    args = parser.parse_args()
    if not (args.data / "labels.json").exists():
        parser.exit(2, f"no labelled series in {args.data}: set TWOFOLD_DATA or --data\n")
    if args.prepare:
        args.quick = True
    found = run(args.data, quick=args.quick, alone=args.alone)
    print(json.dumps(found) if args.json else table_of(found))


if __name__ == "__main__":
    main()
