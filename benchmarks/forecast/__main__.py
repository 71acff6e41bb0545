"""Forecasts, side by side: `python -m benchmarks.forecast [--quick] [--data DIR] [--m4 DIR] [--json]`.

Three days ahead of hourly operations series: MASE, weighted quantile loss, coverage of the 80 % interval, series
a second; beside yesterday's and last week's values, of which every quantile is that value. And generated fills: Brier
score of "full within", and the error of the time until full; beside a straight line through the last hours (PromQL's
`predict_linear`). And claims of exhaustion up to a month ahead: how many came true, what their intervals hold.
M4's hourly series are judged too where `--m4` names a folder with Hourly-train.csv and Hourly-test.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.forecast.data import Cases, m4, operations
from benchmarks.forecast.fills import DAY, fills
from twofold.stats.fill import fill
from twofold.stats.profile import forecast

Floats = npt.NDArray[np.float64]

HERE: Final = Path(__file__).resolve().parents[2]
LEVELS: Final = np.arange(0.1, 0.95, 0.1)
AHEAD: Final = {"6h": DAY // 4, "1d": DAY, "3d": 3 * DAY}
LINES: Final = {"6h": DAY // 4, "24h": DAY}
SEEN: Final = {"2d": (2, 1), "3d": (3, 6), "5d": (5, 10), "7d": (7, 30)}
"""Days seen, and days ahead that the forecaster tells of then."""
_CLAIM: Final = 0.8
_FUTURE_DAYS: Final = 45
_PEERS: Final = {"yesterday": 24, "last week": 168}


def accuracy(cases: Cases, point: Floats, quantiles: Floats | None = None) -> dict[str, float]:
    """MASE, and of quantiles the weighted loss (median over cases) and the coverage of the 80 % interval."""
    found = {"mase": float(np.mean(np.abs(point - cases.future).mean(axis=1) / cases.scale))}
    if quantiles is not None:
        away = cases.future[:, :, None] - quantiles
        loss = 2.0 * np.maximum(LEVELS * away, (LEVELS - 1.0) * away).sum(axis=1).mean(axis=1)
        size = np.abs(cases.future).sum(axis=1)
        found["wql"] = float(np.median(loss[size > 0] / size[size > 0]))
        inside = (cases.future >= quantiles[:, :, 0]) & (cases.future <= quantiles[:, :, -1])
        found["coverage_80"] = float(inside.mean())
    return found


def judge(cases: Cases) -> dict[str, Any]:
    """Ours and both naive ones."""
    horizon = cases.future.shape[1]
    forecast(cases.past[:2], horizon, LEVELS.tolist())
    began = time.process_time()
    ours = forecast(cases.past, horizon, LEVELS.tolist())
    took = time.process_time() - began
    found: dict[str, Any] = {"ours": accuracy(cases, ours.point, ours.quantiles)}
    for name, period in _PEERS.items():
        lags = period * (1 + np.arange(horizon) // period) - np.arange(horizon)
        told = cases.past[:, -lags]
        known = np.asarray(np.isfinite(told).all(axis=1))
        some = Cases(
            family=[each for each, keep in zip(cases.family, known.tolist(), strict=True) if keep],
            past=cases.past[known],
            future=cases.future[known],
            scale=cases.scale[known],
        )
        peer = told[known]
        same = accuracy(some, ours.point[known], ours.quantiles[known])
        found[name] = {
            "mase": accuracy(some, peer)["mase"],
            "wql": accuracy(some, peer, np.repeat(peer[:, :, None], len(LEVELS), axis=2))["wql"],
            "ours_on_the_same": same["mase"],
            "our_wql_on_the_same": same["wql"],
        }
    families = {
        name: float(
            np.mean((np.abs(ours.point - cases.future).mean(axis=1) / cases.scale)[np.array(cases.family) == name])
        )
        for name in sorted(set(cases.family))
    }
    return found | {"mase_by_family": families, "cases": len(cases.past), "series_per_s": len(cases.past) / took}


def exhaustion(each: int) -> dict[str, Any]:
    """Brier scores and the median error of the time until full, as a factor."""
    names, past, end = fills(each, seed=1)
    limit, ahead = np.ones(len(past)), np.array(list(AHEAD.values()), np.float64)
    truth = end[:, None] <= ahead
    began = time.process_time()
    ours = fill(past, limit, ahead.tolist())
    took = time.process_time() - began
    finite = np.isfinite(end)
    inside = (ours.eta_steps[:, 0] <= end) & (end <= ours.eta_steps[:, 2])
    square = (ours.within - truth) ** 2
    off = np.abs(np.log(np.minimum(ours.eta_steps[finite, 1], 4.0 * past.shape[1]) / end[finite]))
    found: dict[str, Any] = {
        "ours": {f"brier_{name}": float(x) for name, x in zip(AHEAD, square.mean(axis=0), strict=True)}
        | {"time_factor": float(np.exp(np.median(off))), "coverage_80": float(inside.mean())},
        "brier_1d_by_shape": {name: float(square[np.array(names) == name, 1].mean()) for name in dict.fromkeys(names)},
        "base rate": {f"brier_{name}": float(p * (1.0 - p)) for name, p in zip(AHEAD, truth.mean(axis=0), strict=True)},
        "fills_per_s": len(past) / took,
    }
    for name, steps in LINES.items():
        t = np.arange(steps) - (steps - 1) / 2.0
        slope = (past[:, -steps:] * t).sum(axis=1) / (t * t).sum()
        last = past[:, -steps:].mean(axis=1) + slope * (steps - 1) / 2.0
        told = (last[:, None] + slope[:, None] * ahead) >= 1.0
        found[f"predict_linear {name}"] = {
            f"brier_{key}": float(x)
            for key, x in zip(AHEAD, ((told - truth.astype(float)) ** 2).mean(axis=0), strict=True)
        }
    return found


def claims(each: int) -> dict[str, dict[str, float]]:
    """Claims as they are made, as far ahead as the past supports: how many came true, and what their intervals hold."""
    told: dict[str, dict[str, float]] = {}
    for name, (seen, ahead) in SEEN.items():
        _, past, end = fills(each, seed=2, seen=seen * DAY, ahead=_FUTURE_DAYS * DAY)
        found = fill(past, np.ones(len(past)), [float(ahead * DAY)], farthest=2.0 * ahead * DAY + 1.0)
        truth, chance, eta = end <= ahead * DAY, found.within[:, 0], found.eta_steps
        claimed = chance >= _CLAIM
        inside = (eta[:, 0] <= end) & (end <= eta[:, 2])
        finite = claimed & np.isfinite(end) & np.isfinite(eta[:, 1])
        told[name] = {
            "days_ahead": float(ahead),
            "brier": float(((chance - truth) ** 2).mean()),
            "base_rate": float(truth.mean() * (1.0 - truth.mean())),
            "claims": float(claimed.sum()),
            "came_true": float(truth[claimed].mean()),
            "coverage_80": float(inside[claimed].mean()),
            "time_factor": float(np.exp(np.median(np.abs(np.log(eta[finite, 1] / end[finite]))))),
        }
    return told


def text(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = []
    for source in ("operations", "m4"):
        if source not in found:
            continue
        rows = found[source]
        lines.append(f"{source}: {rows['cases']} cases, {rows['series_per_s']:,.0f} series a second of CPU")
        for name in ("ours", *_PEERS):
            figures = ", ".join(f"{key} {value:.3f}" for key, value in rows[name].items())
            lines.append(f"  {name:12s}{figures}")
        lines.append(
            "  by family   " + ", ".join(f"{key} {value:.2f}" for key, value in rows["mase_by_family"].items())
        )
    rows = found["exhaustion"]
    lines.append(f"exhaustion: {rows['fills_per_s']:,.0f} series a second of CPU")
    shown = ("ours", *(f"predict_linear {key}" for key in LINES), "base rate")
    lines += [f"  {name:20s}" + ", ".join(f"{key} {value:.3f}" for key, value in rows[name].items()) for name in shown]
    lines.append("claims of 80 % and more, as far ahead as the past supports:")
    lines += [
        f"  seen {name:15s}" + ", ".join(f"{key} {value:.3f}" for key, value in row.items())
        for name, row in found["claims"].items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    default = Path(os.environ.get("TWOFOLD_DATA", HERE.parent / "shared" / "data")) / "series"
    parser.add_argument(
        "--data", type=Path, default=default, help="folder with labels.json and <family>/<name>.parquet"
    )
    parser.add_argument("--m4", type=Path, help="folder with M4's Hourly-train.csv and Hourly-test.csv")
    parser.add_argument("--quick", action="store_true", help="a fifth of the fills")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    given = parser.parse_args()
    if not (given.data / "labels.json").exists():
        parser.exit(2, f"no labelled series in {given.data}: set TWOFOLD_DATA or --data\n")
    found: dict[str, Any] = {"operations": judge(operations(given.data))}
    if given.m4:
        found["m4"] = judge(m4(given.m4))
    found["exhaustion"] = exhaustion(40 if given.quick else 200)
    found["claims"] = claims(40 if given.quick else 200)
    main_rows = found["m4" if given.m4 else "operations"]
    found |= {"mase": main_rows["ours"]["mase"], "wql": main_rows["ours"]["wql"]}
    found["series_per_s"] = main_rows["series_per_s"]
    print(json.dumps(found) if given.json else text(found))


if __name__ == "__main__":
    main()
