"""Which series meet a selector's matchers: the labels of each metric as columns, kept between queries.

The catalog keeps definitions packed, which is small and slow to look through. In columns a matcher looks at the
distinct values of a label and then at one array. They are filled when a metric is first asked for, and then go on.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from twofold.store.catalog import Catalog
from twofold.store.promql.columns import Columns, Definition, Named
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions, Matcher, Op, matching
from twofold.store.promql.values import NAME, Bools, Ints, without

MOST: Final = 250_000
_BUCKET: Final = "bucket"  # `x_bucket` of Prometheus, `x.bucket` of OpenTelemetry
_COUNT: Final = "count"
_BOUND: Final = "le"
_INFINITE: Final = frozenset({"+inf", "inf"})
_NAMES: Final = 10_000  # remembered in their shown form
_BARE: Final = re.compile(r"[^a-zA-Z0-9_]")
_BARE_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")


class SeriesIndex:
    """The series of one tenant by their labels as PromQL shows them. Thread-safe.

    Args:
        most: Series kept in columns, some 100 bytes each. The metrics asked for longest ago are let go; those of one
            query are kept together whatever they hold.
    """

    def __init__(self, catalog: Catalog, *, tenant: str, most: int = MOST) -> None:
        self._catalog = catalog
        self._tenant = tenant
        self._most = most
        self._lock = threading.Lock()
        self._columns: OrderedDict[str, Columns] = OrderedDict()
        self._infinite: dict[str, tuple[tuple[int, int], Columns]] = {}
        self._names: dict[str, list[str]] = {}
        self._known = 0  # metrics in `_names`

    def find(self, conditions: Conditions, account: Account) -> list[Named]:
        """Series that meet any of the alternatives, sorted by labels. Raises `TooLarge`, `TimedOut`."""
        with self._lock:
            found = [each for columns, rows in self._kept(conditions, account) for each in columns.named(rows)]
        found.sort(key=lambda each: each[1])  # each metric's are in order
        return found

    def label_names(self, conditions: Conditions, account: Account) -> set[str]:
        """Names of the labels of the series that meet any of the alternatives. Raises as `find`."""
        with self._lock:
            return {name for columns, rows in self._kept(conditions, account) for name in columns.names(rows)}

    def label_values(self, label: str, conditions: Conditions, account: Account) -> set[str]:
        """Values of a label of the series that meet any of the alternatives. Raises as `find`."""
        with self._lock:
            return {value for columns, rows in self._kept(conditions, account) for value in columns.values(label, rows)}

    def metrics(self) -> Mapping[str, Sequence[str]]:
        """Stored names of all metrics by the shown one."""
        with self._lock:
            return {name: tuple(stored) for name, stored in self._shown_names().items()}

    def _kept(self, conditions: Conditions, account: Account) -> list[tuple[Columns, Ints]]:
        """For each metric the rows that meet any of the alternatives, where there are any."""
        found: dict[Columns, Bools] = {}
        for alternative in conditions:
            shown = [Matcher(each.name, each.op, _shown(each)) for each in alternative]
            for metric in self._meant(shown):
                account.check()
                for columns in self._all(metric):
                    kept = columns.matching(shown)
                    found[columns] = found[columns] | kept if columns in found else kept
                account.selected(sum(int(kept.sum()) for kept in found.values()))
        self._forget(found)
        rows = ((columns, np.flatnonzero(kept)) for columns, kept in found.items())
        return [(columns, kept) for columns, kept in rows if len(kept)]

    def _shown_names(self) -> dict[str, list[str]]:
        metrics = self._catalog.metrics(tenant=self._tenant)
        for metric in metrics[self._known :]:
            self._names.setdefault(bare_name(metric), []).append(metric)
        self._known = len(metrics)
        return self._names

    def _meant(self, conditions: Iterable[Matcher]) -> list[str]:
        """Stored names of the metrics whose shown name meets the conditions on the name."""
        names = self._shown_names()
        on_name = [each for each in conditions if each.name == NAME]
        exact = next((each.value for each in on_name if each.op is Op.EQUAL), None)
        candidates = list(names) if exact is None else [exact] if exact in names else []
        if on_name[exact is not None :]:
            kept = matching([{NAME: name} for name in candidates], on_name)
            candidates = [candidates[at] for at in np.flatnonzero(kept).tolist()]
        return [metric for name in candidates for metric in names[name]]

    def _all(self, metric: str) -> list[Columns]:
        """All series of a metric, as they are shown."""
        found = self._of(metric)
        return [found, self._open_ended(metric, found)] if metric.endswith(_BUCKET) else [found]

    def _of(self, metric: str) -> Columns:
        """A metric's columns, up to date."""
        columns = self._columns.pop(metric, None) or Columns(bare_name(metric))
        self._columns[metric] = columns
        new = self._catalog.labels(metric, tenant=self._tenant, after=len(columns))
        columns.extend([(sid, {bare_label(key): value for key, value in labels.items()}) for sid, labels in new])
        return columns

    def _open_ended(self, metric: str, buckets: Columns) -> Columns:
        """The bucket `+Inf` of histograms that were received without: what their `_count` says."""
        counts = self._of(metric.removesuffix(_BUCKET) + _COUNT)
        size = (len(buckets), len(counts))
        known, columns = self._infinite.get(metric, ((-1, -1), buckets))
        if known != size:
            columns = Columns(buckets.name)
            columns.extend(_infinite(buckets, counts))
            self._infinite[metric] = (size, columns)
        return columns

    def _forget(self, needed: Mapping[Columns, object]) -> None:
        """Let the metrics go that were asked for longest ago."""
        held = sum(map(len, self._columns.values())) + sum(len(columns) for _, columns in self._infinite.values())
        for metric in list(self._columns):
            if held <= self._most or self._columns[metric] in needed:
                return
            held -= len(self._columns.pop(metric))
            if metric in self._infinite:
                held -= len(self._infinite.pop(metric)[1])


def _infinite(buckets: Columns, counts: Columns) -> list[Definition]:
    closed, bounded = set(), set()
    for _, labels in buckets.named(np.arange(len(buckets))):
        if bound := dict(labels).get(_BOUND):
            whole = without(labels, (NAME, _BOUND))
            bounded.add(whole)
            if bound.lower() in _INFINITE:
                closed.add(whole)
    if bounded <= closed:
        return []
    sids = {without(labels, (NAME,)): sid for sid, labels in counts.named(np.arange(len(counts)))}
    return [(sids[each], {**dict(each), _BOUND: "+Inf"}) for each in sorted((bounded - closed) & sids.keys())]


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


def _shown(matcher: Matcher) -> str:
    """What the matcher compares with: a name that is asked for in its stored form means its shown one."""
    exact = matcher.name == NAME and matcher.op in {Op.EQUAL, Op.UNEQUAL}
    return bare_name(matcher.value) if exact and matcher.value else matcher.value
