"""Counters as people read them, and detectors judge them: change per second."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twofold.records.columns import SAMPLES
from twofold.records.series import SeriesKind

COUNTED: Final = frozenset({SeriesKind.COUNTER, SeriesKind.DELTA})
"""Kinds of series that are read per second."""


def rates(samples: pa.Table, kind: SeriesKind) -> pa.Table:
    """Samples of one series per second, each over the time since the sample before; other kinds as they are.

    The first sample has no rate, nor has one at which a counter went back (a restart).

    >>> cells = ([1, 1, 1], [0, 2_000_000_000, 3_000_000_000], [10.0, 30.0, 5.0])
    >>> table = pa.table([pa.array(each) for each in cells], names=["sid", "time_ns", "value"])
    >>> rates(table, SeriesKind.COUNTER)["value"].to_pylist()
    [10.0]
    """
    if kind not in COUNTED:
        return samples
    samples = samples.filter(pc.is_finite(samples["value"]))  # without marks of the series' end
    time_ns, value = samples["time_ns"].to_numpy(), samples["value"].to_numpy()
    change = np.diff(value) if kind is SeriesKind.COUNTER else value[1:]
    rate = change / (np.diff(time_ns) / 1e9)
    known = np.isfinite(rate) & ((rate >= 0) | (kind is SeriesKind.DELTA))
    columns = [samples["sid"].to_numpy()[1:][known], time_ns[1:][known], rate[known]]
    return pa.table(columns, schema=SAMPLES)
