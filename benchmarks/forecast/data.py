"""Hourly operations series from labelled metric series, and M4's hourly series where a folder of them is given."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]

HORIZON: Final = 72
DAY: Final = 24
_PAST: Final = 42 * DAY
_LEAST: Final = 21 * DAY
_EVERY: Final = 9 * DAY
_WHOLE: Final = 0.9
_M4_HORIZON: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Past and future of many series at once.

    Attributes:
        family: Name of each case's source.
        past: Shape (cases, hours), NaN before a case begins and in gaps.
        future: Shape (cases, horizon).
        scale: In-sample mean absolute error of yesterday's value: the divisor of MASE.
    """

    family: list[str]
    past: Floats
    future: Floats
    scale: Floats


def operations(folder: Path) -> Cases:
    """Cuts of every series of three weeks and more, every nine days, as hourly means."""
    labels = json.loads((folder / "labels.json").read_text())["series"]
    families, pasts, futures = [], [], []
    for name, facts in sorted(labels.items()):
        hourly = _hourly(folder / f"{name}.parquet")
        for end in range(len(hourly) - HORIZON, _LEAST, -_EVERY):
            past, future = hourly[max(0, end - _PAST) : end], hourly[end : end + HORIZON]
            if np.isfinite(past).mean() > _WHOLE and np.isfinite(future).all() and np.nanstd(past) > 0:
                families.append(str(facts["family"]))
                pasts.append(past)
                futures.append(future)
    return _cases(families, pasts, futures)


def m4(folder: Path) -> Cases:
    """`Hourly-train.csv` and `Hourly-test.csv` of the M4 competition."""
    futures = [_row(row) for row in _read(folder / "Hourly-test.csv")]
    pasts = [_row(row)[-_PAST:] for row in _read(folder / "Hourly-train.csv")]
    return _cases(["m4"] * len(pasts), pasts, [one[:_M4_HORIZON] for one in futures])


def _read(path: Path) -> list[list[str]]:
    with path.open(newline="") as lines:
        return list(csv.reader(lines))[1:]


def _row(row: list[str]) -> Floats:
    return np.array([float(cell) for cell in row[1:] if cell])


def _hourly(path: Path) -> Floats:
    table = pq.read_table(path)
    hour, value = table["timestamp"].to_numpy() // 3600, table["value"].to_numpy().astype(np.float64)
    first = int(hour.min())
    count = np.bincount(hour - first)
    return np.where(count > 0, np.bincount(hour - first, weights=value) / np.maximum(count, 1), np.nan)


def _cases(families: list[str], pasts: list[Floats], futures: list[Floats]) -> Cases:
    past = np.full((len(pasts), _PAST), np.nan)
    for row, one in zip(past, pasts, strict=True):
        row[_PAST - len(one) :] = one
    scale = np.array([np.nanmean(np.abs(one[DAY:] - one[:-DAY])) for one in pasts])
    kept = scale > 0
    return Cases(
        family=[name for name, keep in zip(families, kept, strict=True) if keep],
        past=past[kept],
        future=np.stack(futures)[kept],
        scale=scale[kept],
    )
