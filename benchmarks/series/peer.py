"""Runs inside a peer's own environment: `python peer.py NAME IN OUT`; needs nothing of Twofold but NumPy's files.

IN holds `value` and `time_s` of all series, one after the other, and per series its `length` and `warm` points. OUT
gets a `score` per value (not a number where the peer gives none), `cpu_s`, and `bytes_per_series`: the last
series' state as pickled. A peer starts anew with each series and is told a value only when its time has come.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Scored = tuple[np.ndarray, Any]
Score = Callable[[np.ndarray, np.ndarray, int], Scored]
"""Value, seconds and warm points of one series to its scores and the state left behind."""


def gaussian(value: np.ndarray, _time_s: np.ndarray, _warm: int) -> Scored:
    """GaussianScorer of river as it comes: two-sided tail of a normal law fitted to all of the past."""
    from river.anomaly import GaussianScorer  # type: ignore[import-not-found]  # noqa: PLC0415 - the peer's environment

    return _river(GaussianScorer(), value)


def deviation(value: np.ndarray, _time_s: np.ndarray, _warm: int) -> Scored:
    """StandardAbsoluteDeviation of river as it comes: distance from the mean of all of the past."""
    from river.anomaly import StandardAbsoluteDeviation  # noqa: PLC0415 - the peer's environment

    return _river(StandardAbsoluteDeviation(), value)


def _river(model: Any, value: np.ndarray) -> Scored:
    score = np.empty(len(value))
    for i, each in enumerate(value.tolist()):
        score[i] = model.score_one(None, each)
        model.learn_one(None, each)
    return score, model


def zms(value: np.ndarray, time_s: np.ndarray, warm: int) -> Scored:
    """Merlion's ZMS with its own defaults, trained on the points that are not tested, without resampling."""
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415 - the peer's environment
    from merlion.models.anomaly.zms import (  # type: ignore[import-not-found]  # noqa: PLC0415 - the peer's environment
        ZMS,
        ZMSConfig,
    )
    from merlion.transform.base import Identity  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
    from merlion.utils import TimeSeries  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    score = np.full(len(value), np.nan)
    first = np.append(True, time_s[1:] > time_s[:-1])  # it refuses times that repeat
    frame = pd.DataFrame({"value": value[first]}, index=pd.to_datetime(time_s[first], unit="s"))
    known = max(int(first[:warm].sum()), 2)
    past, rest = TimeSeries.from_pd(frame[:known]), TimeSeries.from_pd(frame[known:])
    model = ZMS(ZMSConfig(transform=Identity()))
    model.train(past)
    found = np.abs(model.get_anomaly_score(rest, past).to_pd().to_numpy()[:, 0])
    score[np.flatnonzero(first)[-len(found) :]] = found
    return score, model


def spot(value: np.ndarray, _time_s: np.ndarray, _warm: int) -> Scored:
    """SpotDetector of streamad as it comes: peaks over threshold."""
    from streamad.model import SpotDetector  # type: ignore[import-not-found]  # noqa: PLC0415 - the peer's environment

    return _streamad(SpotDetector(), value)


def _streamad(model: Any, value: np.ndarray) -> Scored:
    score = np.full(len(value), np.nan)
    for i in range(len(value)):
        found = model.fit_score(value[i : i + 1])
        if found is not None:
            score[i] = found
    return score, model


SCORES: dict[str, Score] = {
    "river GaussianScorer": gaussian,
    "river StandardAbsoluteDeviation": deviation,
    "Merlion ZMS": zms,
    "streamad SPOT": spot,
}


def main() -> None:
    """Read, run, write."""
    name, source, target = sys.argv[1:]
    given = np.load(source)
    ends = np.cumsum(given["length"])
    parts = list(zip(ends - given["length"], ends, given["warm"], strict=True))
    score = np.full(ends[-1], np.nan)
    state: Any = None
    run = SCORES[name]
    run(given["value"][:2000], given["time_s"][:2000], 300)  # imports and first calls are not on the clock
    begin = time.process_time()
    for first, last, warm in parts:
        score[first:last], state = run(given["value"][first:last], given["time_s"][first:last], int(warm))
    cpu_s = time.process_time() - begin
    np.savez(target, score=score, cpu_s=cpu_s, bytes_per_series=len(pickle.dumps(state)))


if __name__ == "__main__":
    main()
