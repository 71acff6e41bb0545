"""Reads a folder of labelled series: `labels.json` and `<family>/<name>.parquet` (timestamp, value, label)."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

WARM_SHARE = 0.15
WARM_S = 14 * 86400.0
SLACK_PERIODS = 60

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One series with its labels.

    Attributes:
        time_s: Epoch seconds, not decreasing.
        label: 1 for an anomalous point.
        warm: Points at the beginning that are not tested.
        ignore: Points near an anomaly of the whole machine: an alert there is not false.
        windows: NAB's windows as pairs of rows, both inside.
    """

    name: str
    family: str
    period_s: float
    time_s: Int64s
    value: Floats
    label: Int64s
    warm: int
    ignore: npt.NDArray[np.bool_]
    windows: tuple[tuple[int, int], ...]

    @property
    def days(self) -> float:
        """Tested days."""
        return (len(self.value) - self.warm) * self.period_s / 86400

    def events(self) -> tuple[Int64s, Int64s]:
        """First and last row of each run of anomalous points, counted from the end of the warm-up."""
        edge = np.diff(np.concatenate([[0], self.label[self.warm :], [0]]))
        return np.flatnonzero(edge == 1), np.flatnonzero(edge == -1) - 1


def default_folder() -> Path:
    """Where the data is, unless somebody says otherwise."""
    shared = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("TWOFOLD_DATA", shared)) / "series"


def load(folder: Path, *, most_per_family: int = 0, most_points: int = 0) -> list[Labelled]:
    """All series, or the first `most_per_family` of each family with at most `most_points`.

    Raises:
        FileNotFoundError: No `labels.json` in the folder.
    """
    meta = json.loads((folder / "labels.json").read_text())
    found: list[Labelled] = []
    taken: dict[str, int] = {}
    for name, info in sorted(meta["series"].items()):
        family = info["family"]
        if (most_points and info["n"] > most_points) or (most_per_family and taken.get(family, 0) >= most_per_family):
            continue
        taken[family] = taken.get(family, 0) + 1
        found.append(_read(folder, name, info, meta.get("entities", {})))
    return found


def _read(folder: Path, name: str, info: dict[str, Any], entities: dict[str, Sequence[Sequence[int]]]) -> Labelled:
    table = pq.read_table(folder / f"{name}.parquet", columns=["timestamp", "value", "label"])
    time_s, label = (table[c].to_numpy().astype(np.int64) for c in ("timestamp", "label"))
    ignore = np.zeros(len(time_s), np.bool_)
    slack_s = SLACK_PERIODS * info["period_s"]
    for first, last in entities.get(info.get("entity", ""), ()):
        ignore |= (time_s >= first - slack_s) & (time_s <= last + slack_s)
    return Labelled(
        name=name,
        family=info["family"],
        period_s=float(info["period_s"]),
        time_s=time_s,
        value=table["value"].to_numpy().astype(np.float64),
        label=label,
        warm=int(min(WARM_SHARE * len(label), WARM_S / max(info["period_s"], 1))),
        ignore=ignore,
        windows=tuple((int(a), int(b)) for a, b in info.get("nab_windows_idx", ())),
    )


def command(name: str, about: str | None, run: Callable[[Path], Any], table_of: Callable[[Any], str]) -> None:
    """Parse, run and print a benchmark that takes a folder of labelled series and nothing else."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.series.{name}", description=about)
    parser.add_argument("--data", type=Path, default=default_folder(), help="folder with labels.json")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    args = parser.parse_args()
    if not (args.data / "labels.json").exists():
        parser.exit(2, f"no labelled series in {args.data}: set TWOFOLD_DATA or --data\n")
    found = run(args.data)
    print(json.dumps(found) if args.json else table_of(found))
