"""Peers on the same series in the same run: libraries in environments of their own, Netdata's method, a rolling median.

Each is used as it comes, causally, from a cold start, and judged by the functions that judge ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import environment
from benchmarks.series.data import Floats, Labelled
from benchmarks.series.detectors import WINDOW, rolling_median, timed
from benchmarks.series.peers_kmeans import BYTES_PER_SERIES, kmeans

ROOMS: Final = {
    "river GaussianScorer": "river",
    "river StandardAbsoluteDeviation": "river",
    "Merlion ZMS": "merlion",
    "streamad SPOT": "streamad",
}
MEDIAN_BYTES: Final = 8 * (WINDOW + 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a peer made of the series.

    Attributes:
        scores: One array a series, not a number where the peer gives none.
        cpu_s: CPU seconds, one core.
        bytes_per_series: State held for one series.
    """

    scores: list[Floats]
    cpu_s: float
    bytes_per_series: int


def names() -> list[str]:
    """Peers that can run here; those in environments of their own only after `make peers`."""
    return ["rolling median", "Netdata k-means", *(name for name, room in ROOMS.items() if environment.available(room))]


def run(name: str, series: Sequence[Labelled]) -> Run:
    """A peer over all series."""
    if name == "rolling median":
        scores, cpu_s = timed(rolling_median, series)
        return Run(scores=scores, cpu_s=cpu_s, bytes_per_series=MEDIAN_BYTES)
    if name == "Netdata k-means":
        scores, cpu_s = timed(kmeans, series)
        return Run(scores=scores, cpu_s=cpu_s, bytes_per_series=BYTES_PER_SERIES)
    return _apart(name, series)


def _apart(name: str, series: Sequence[Labelled]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(
            source,
            value=np.concatenate([each.value for each in series]),
            time_s=np.concatenate([each.time_s for each in series]),
            length=np.array([len(each.value) for each in series]),
            warm=np.array([each.warm for each in series]),
        )
        environment.run(ROOMS[name], Path(__file__).with_name("peer.py"), name, source, target)
        found = np.load(target)
        ends = np.cumsum([len(each.value) for each in series])[:-1]
        return Run(
            scores=np.split(found["score"], ends),
            cpu_s=float(found["cpu_s"]),
            bytes_per_series=int(found["bytes_per_series"]),
        )
