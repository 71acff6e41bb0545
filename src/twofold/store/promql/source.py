"""Where a query's samples come from: the catalog says which series, the history gives their samples in one read.

Metric and label names that PromQL could not write bare are shown with `_` for every other character,
as Prometheus shows names that come by OTLP; a selector may use either form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
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
_BUCKET: Final = "bucket"  # `x_bucket` of Prometheus, `x.bucket` of OpenTelemetry
_COUNT: Final = "count"
_BOUND: Final = "le"
_INFINITE: Final = frozenset({"+inf", "inf"})
_NAMES: Final = 10_000  # remembered in their shown form
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
        sids, place = np.unique(np.array([sid for sid, _ in found], np.int64), return_inverse=True)
        time_ns, value, bounds = self._read(sids, start_ms, end_ms, account)
        low, high = bounds[:-1][place], bounds[1:][place]
        return _samples([labels for _, labels in found], time_ns // MS_NS, value, low, high)

    def metrics(self) -> Mapping[str, Series]:
        """For each metric's shown name one of its series."""
        found: dict[str, Series] = {}
        for metric in self._catalog.metrics(tenant=self._tenant):
            if (name := bare_name(metric)) not in found:
                found[name] = self._catalog.find(tenant=self._tenant, metric=metric, limit=1)[0]
        return found

    def _find(self, conditions: Conditions, account: Account) -> list[tuple[int, Labels]]:
        found: dict[tuple[int, Labels], None] = {}
        for alternative in conditions:
            shown = [Matcher(each.name, each.op, _shown(each)) for each in alternative]
            for metric in self._metrics(shown):
                account.check()
                series = self._all(metric)
                if metric.endswith(_BUCKET):
                    series += self._infinite(metric, series)
                kept = matching([labels for _, labels in series], shown)
                rows = (series[at] for at in np.flatnonzero(kept).tolist())
                found |= dict.fromkeys((sid, make_labels(labels.items())) for sid, labels in rows)
                account.selected(len(found))
        return list(found)

    def _all(self, metric: str) -> list[tuple[int, dict[str, str]]]:
        """All series of a metric, as they are shown."""
        name = bare_name(metric)
        return [
            (sid, {**{bare_label(key): value for key, value in labels.items()}, NAME: name})
            for sid, labels in self._catalog.labels(metric, tenant=self._tenant)
        ]

    def _infinite(self, metric: str, buckets: Sequence[tuple[int, dict[str, str]]]) -> list[tuple[int, dict[str, str]]]:
        """The bucket `+Inf` of histograms that were received without: what their `_count` says."""
        closed = {_whole(labels) for _, labels in buckets if labels.get(_BOUND, "").lower() in _INFINITE}
        open_ended = {_whole(labels) for _, labels in buckets if _BOUND in labels} - closed
        if not open_ended:
            return []
        counts = {_whole(labels): sid for sid, labels in self._all(metric.removesuffix(_BUCKET) + _COUNT)}
        name = bare_name(metric)
        return [
            (counts[each], {**dict(each), NAME: name, _BOUND: "+Inf"}) for each in sorted(open_ended & counts.keys())
        ]

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


@lru_cache(_NAMES)
def bare_name(name: str) -> str:
    """A metric's name as PromQL can write it.

    >>> bare_name("http.server.duration"), bare_name("job:up:sum"), bare_name("2xx")
    ('http_server_duration', 'job:up:sum', '_2xx')
    """
    bare = _BARE_NAME.sub("_", name)
    return f"_{bare}" if bare[:1].isdigit() else bare


@lru_cache(_NAMES)
def bare_label(name: str) -> str:
    """A label's name as PromQL can write it.

    >>> bare_label("http.route")
    'http_route'
    """
    bare = _BARE.sub("_", name)
    return f"_{bare}" if bare[:1].isdigit() else bare


def _whole(labels: Mapping[str, str]) -> Labels:
    """What names a histogram among those of its metric."""
    return make_labels((name, value) for name, value in labels.items() if name not in {NAME, _BOUND})


def _shown(matcher: Matcher) -> str:
    """What the matcher compares with: a name that is asked for in its stored form means its shown one."""
    exact = matcher.name == NAME and matcher.op in {Op.EQUAL, Op.UNEQUAL}
    return bare_name(matcher.value) if exact and matcher.value else matcher.value
