"""Where a query's samples come from: the catalog says which series, the history gives their samples in one read.

Metric and label names that PromQL could not write bare are shown with `_` for every other character,
as Prometheus shows names that come by OTLP; a selector may use either form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from twofold.records.series import Series
from twofold.store.catalog import Catalog
from twofold.store.history import History
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions, Matcher, Op, matching
from twofold.store.promql.values import NAME, Bools, Floats, Ints, Labels, Samples, make_labels

MS_NS: Final = 1_000_000
_AT_ONCE_MS: Final = 1000  # samples of a series are taken to be no denser than this when a read is split
_BARE: Final = re.compile(r"[^a-zA-Z0-9_]")
_BARE_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")


class Source(Protocol):
    """Samples by label matchers, of one tenant."""

    def series(self, conditions: Conditions, account: Account) -> Sequence[Labels]:
        """Labels of the series that meet the conditions, sorted. Raises `TooLarge`."""
        ...

    def select(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        """Samples in [start_ms, end_ms] of those that have any, sorted by labels. Raises `TooLarge`, `TimedOut`."""
        ...


class HistorySource:
    """The telemetry of one tenant: hot window and tables as one."""

    def __init__(self, catalog: Catalog, history: History, *, tenant: str) -> None:
        self._catalog = catalog
        self._history = history
        self._tenant = tenant

    def series(self, conditions: Conditions, account: Account) -> Sequence[Labels]:
        """See `Source.series`."""
        return sorted({labels for _, labels in self._find(conditions, account)})

    def select(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        """See `Source.select`. Times are cut to milliseconds; of two samples in one the later stands."""
        found = self._find(conditions, account)
        found.sort(key=lambda pair: pair[1])
        sids = np.array([sid for sid, _ in found], np.int64)
        order = np.argsort(sids)
        time_ns, value, bounds = self._read(sids[order], start_ms, end_ms, account)
        low, high = np.empty(len(sids), np.int64), np.empty(len(sids), np.int64)
        low[order], high[order] = bounds[:-1], bounds[1:]
        return _samples([labels for _, labels in found], time_ns // MS_NS, value, low, high)

    def metrics(self) -> Mapping[str, Series]:
        """For each metric's shown name one of its series."""
        found: dict[str, Series] = {}
        for metric in self._catalog.metrics(tenant=self._tenant):
            if (name := bare_name(metric)) not in found:
                found[name] = self._catalog.find(tenant=self._tenant, metric=metric, limit=1)[0]
        return found

    def _find(self, conditions: Conditions, account: Account) -> list[tuple[int, Labels]]:
        found: dict[int, Labels] = {}
        for alternative in conditions:
            shown = [Matcher(each.name, each.op, _shown(each)) for each in alternative]
            for metric in self._metrics(shown):
                account.check()
                series = self._catalog.find(tenant=self._tenant, metric=metric, limit=2**31)
                labels = [_labels(each) for each in series]
                kept = matching(labels, shown)
                found |= {series[at].sid: make_labels(labels[at].items()) for at in np.flatnonzero(kept).tolist()}
                account.selected(len(found))
        return list(found.items())

    def _metrics(self, conditions: Iterable[Matcher]) -> list[str]:
        """Stored names of the metrics whose shown name meets the conditions on the name."""
        names = list(self._catalog.metrics(tenant=self._tenant))
        kept = matching([{NAME: bare_name(name)} for name in names], [each for each in conditions if each.name == NAME])
        return [names[at] for at in np.flatnonzero(kept).tolist()]

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


def bare_name(name: str) -> str:
    """A metric's name as PromQL can write it.

    >>> bare_name("http.server.duration"), bare_name("job:up:sum"), bare_name("2xx")
    ('http_server_duration', 'job:up:sum', '_2xx')
    """
    bare = _BARE_NAME.sub("_", name)
    return f"_{bare}" if bare[:1].isdigit() else bare


def bare_label(name: str) -> str:
    """A label's name as PromQL can write it.

    >>> bare_label("http.route")
    'http_route'
    """
    bare = _BARE.sub("_", name)
    return f"_{bare}" if bare[:1].isdigit() else bare


def _shown(matcher: Matcher) -> str:
    """What the matcher compares with: a name that is asked for in its stored form means its shown one."""
    exact = matcher.name == NAME and matcher.op in {Op.EQUAL, Op.UNEQUAL}
    return bare_name(matcher.value) if exact and matcher.value else matcher.value


def _labels(series: Series) -> dict[str, str]:
    return {bare_label(name): value for name, value in series.labels.items()} | {NAME: bare_name(series.metric)}
