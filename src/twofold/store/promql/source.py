"""Where a query's samples come from: the catalog says which series, the history gives their samples in one read.

Metric and label names that PromQL could not write bare are shown with `_` for every other character,
as Prometheus shows names that come by OTLP; a selector may use either form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from twofold.records.series import Series
from twofold.store.catalog import Catalog
from twofold.store.history import History
from twofold.store.promql.index import SeriesIndex
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions
from twofold.store.promql.values import Bools, Floats, Ints, Labels, Samples

MS_NS: Final = 1_000_000
_LONG: Final = 32  # samples of a run from which on runs are copied one by one
_AT_ONCE_MS: Final = 1000  # samples of a series are taken to be no denser than this when a read is split


class Source(Protocol):
    """Samples by label matchers, of one tenant."""

    def series(self, conditions: Conditions, account: Account) -> Sequence[Labels]:
        """Labels of the series that meet the conditions, sorted. Raises `TooLarge`."""
        ...

    def select(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        """Samples in [start_ms, end_ms] of those that have any, sorted by labels. Raises `TooLarge`, `TimedOut`."""
        ...


class HistorySource:
    """The telemetry of one tenant: hot window and tables as one. Thread-safe; keeps what it learns of the catalog."""

    def __init__(self, catalog: Catalog, history: History, *, tenant: str) -> None:
        self._catalog = catalog
        self._history = history
        self._tenant = tenant
        self._index = SeriesIndex(catalog, tenant=tenant)

    def series(self, conditions: Conditions, account: Account) -> Sequence[Labels]:
        """See `Source.series`."""
        return list(dict.fromkeys(labels for _, labels in self._index.find(conditions, account)))

    def select(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        """See `Source.select`. Times are cut to milliseconds; of two samples in one the later stands."""
        found = self._index.find(conditions, account)
        sids, place = np.unique(np.array([sid for sid, _ in found], np.int64), return_inverse=True)
        time_ns, value, bounds = self._read(sids, start_ms, end_ms, account)
        low, high = bounds[:-1][place], bounds[1:][place]
        return _samples([labels for _, labels in found], time_ns // MS_NS, value, low, high)

    def label_names(self, conditions: Conditions, account: Account) -> set[str]:
        """Names of the labels of the series that meet the conditions. Raises `TooLarge`."""
        return self._index.label_names(conditions, account)

    def label_values(self, label: str, conditions: Conditions, account: Account) -> set[str]:
        """Values of a label of the series that meet the conditions. Raises `TooLarge`."""
        return self._index.label_values(label, conditions, account)

    def metrics(self) -> Mapping[str, Series]:
        """For each metric's shown name one of its series."""
        return {
            name: self._catalog.find(tenant=self._tenant, metric=stored[0], limit=1)[0]
            for name, stored in self._index.metrics().items()
        }

    def metric_names(self) -> Sequence[str]:
        """Shown names of all metrics."""
        return list(self._index.metrics())

    def _read(self, sids: Ints, start_ms: int, end_ms: int, account: Account) -> tuple[Ints, Floats, Ints]:
        """Time and value of the samples by sid and time, and where each sid begins, shape (S + 1,).

        One read, or several where one could exceed the limit by far.
        """
        densest = max(1, (end_ms - start_ms) // _AT_ONCE_MS)
        at_once = max(1, account.limits.samples // densest)
        parts = []
        for at in range(0, len(sids), at_once):
            account.check()
            table = self._history.samples(
                sids[at : at + at_once].tolist(), start_ms * MS_NS, (end_ms + 1) * MS_NS, tenant=self._tenant
            )
            account.read(table.num_rows)
            parts.append(table)
        if not parts:
            return np.empty(0, np.int64), np.empty(0), np.zeros(1, np.int64)
        sid, time_ns, value = (column.to_numpy() for column in pa.concat_tables(parts).columns)
        return time_ns, value, np.append(np.searchsorted(sid, sids), len(sid))


def _samples(labels: Sequence[Labels], times: Ints, values: Floats, low: Ints, high: Ints) -> Samples:
    """Runs in the order of the labels, those of equal labels as one, of equal times the last."""
    count = high - low
    some = np.flatnonzero(count)
    low, count, labels = low[some], count[some], [labels[at] for at in some.tolist()]
    starts = np.append(0, np.cumsum(count))
    if len(low) and (low[1:] != low[:-1] + count[:-1]).any():
        if starts[-1] > _LONG * len(low):
            runs = [slice(*run) for run in zip(low.tolist(), (low + count).tolist(), strict=True)]
            times, values = (np.concatenate([column[run] for run in runs]) for column in (times, values))
        else:
            index = np.repeat(low - starts[:-1], count) + np.arange(starts[-1])
            times, values = times[index], values[index]
    if len(set(labels)) == len(labels) and (times[1:] > times[:-1])[_inner(starts)].all():
        return Samples(labels, starts, times, values)
    distinct = list(dict.fromkeys(labels))
    number = {each: at for at, each in enumerate(distinct)}
    row = np.repeat([number[each] for each in labels], count)
    order = np.lexsort((times, row))  # of equal times the last that came
    row, times, values = row[order], times[order], values[order]
    last = np.append((row[1:] != row[:-1]) | (times[1:] != times[:-1]), True)
    starts = np.append(0, np.cumsum(np.bincount(row[last])))
    return Samples(distinct, starts, times[last], values[last])


def _inner(starts: Ints) -> Bools:
    """Which neighbours belong to one run."""
    same = np.ones(max(0, int(starts[-1]) - 1), bool)
    same[starts[1:-1] - 1] = False
    return same
