"""What rules record, in front of the history: a query that names a recording sees it as if it had been stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from twofold.errors import TooLarge
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions, Matcher, Op, matching
from twofold.store.promql.source import Source
from twofold.store.promql.values import NAME, Floats, Ints, Labels, Samples

MOST_SAMPLES: Final = 20_000_000
"""Recorded in one replay, 16 bytes each."""
_AHEAD_MS: Final = 6 * 3_600_000


@dataclass(slots=True)
class Recorded:
    """A source with what rules made in place of whatever it holds under those names.

    Attributes:
        base: Where everything else comes from.
        names: What rules record, whether they have made anything yet or not.
        until_ms: Nothing later is shown; None shows all. For rules that are evaluated moment by moment.
    """

    base: Source
    names: Collection[str]
    until_ms: int | None = None
    _held: dict[Labels, list[tuple[Ints, Floats]]] = field(default_factory=dict)
    _read: dict[Conditions, tuple[int, int, Samples]] = field(default_factory=dict)
    _count: int = 0

    def put(self, labels: Labels, times: Ints, values: Floats) -> None:
        """More samples of a series, by time. Raises `TooLarge`."""
        self._count += len(times)
        if self._count > MOST_SAMPLES:
            raise TooLarge(
                f"the rules record more than {MOST_SAMPLES:,} samples; ask for less time", limit=MOST_SAMPLES
            )
        self._held.setdefault(labels, []).append((times, values))

    def series(self, conditions: Conditions, account: Account) -> Sequence[Labels]:
        """See `Source.series`."""
        return sorted({*self._kept(self.base.series(conditions, account)), *self._mine(conditions)})

    def select(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        """See `Source.select`."""
        end_ms = end_ms if self.until_ms is None else min(end_ms, self.until_ms)
        runs = dict(self._theirs(conditions, start_ms, end_ms, account))
        for labels in self._mine(conditions):
            times, values = self._whole(labels)
            low, high = np.searchsorted(times, [start_ms, end_ms + 1]).tolist()
            if high > low:
                runs[labels] = times[low:high], values[low:high]
                account.read(high - low)
        return _joined(runs)

    def _theirs(
        self, conditions: Conditions, start_ms: int, end_ms: int, account: Account
    ) -> Iterator[tuple[Labels, tuple[Ints, Floats]]]:
        """Runs of what no rule of the file records."""
        if all(self._named(alternative) for alternative in conditions) or end_ms < start_ms:
            return
        if self.until_ms is None:
            found = self.base.select(conditions, start_ms, end_ms, account)
        else:
            found = self._ahead(conditions, start_ms, end_ms, account)
        for number, labels in enumerate(found.labels):
            low, high = found.starts[number : number + 2].tolist()
            low, high = (low + np.searchsorted(found.times[low:high], [start_ms, end_ms + 1])).tolist()
            if high > low and dict(labels).get(NAME) not in self.names:
                yield labels, (found.times[low:high], found.values[low:high])

    def _ahead(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        """One read for many moments: what is asked for, and some hours more."""
        low, high, found = self._read.get(conditions, (0, -1, None))
        if found is None or start_ms < low or end_ms > high:
            low, high = start_ms, end_ms + _AHEAD_MS
            found = self.base.select(conditions, low, high, account)
            self._read[conditions] = low, high, found
        return found

    def _named(self, alternative: Sequence[Matcher]) -> bool:
        """Whether it asks for a recording by its whole name."""
        return any(each.name == NAME and each.op is Op.EQUAL and each.value in self.names for each in alternative)

    def _mine(self, conditions: Conditions) -> list[Labels]:
        held = list(self._held)
        shown = [dict(labels) for labels in held]
        kept = np.zeros(len(held), bool)
        for alternative in conditions:
            kept |= matching(shown, alternative)
        return [held[at] for at in np.flatnonzero(kept).tolist()]

    def _kept(self, found: Sequence[Labels]) -> list[Labels]:
        return [labels for labels in found if dict(labels).get(NAME) not in self.names]

    def _whole(self, labels: Labels) -> tuple[Ints, Floats]:
        """All samples of a series as one run; of two rules that record it at one time the first counts."""
        held = self._held[labels]
        if len(held) > 1:
            times = np.concatenate([times for times, _ in held])
            values = np.concatenate([values for _, values in held])
            times, first = np.unique(times, return_index=True)
            held[:] = [(times, values[first])]
        return held[0]


def _joined(runs: dict[Labels, tuple[Ints, Floats]]) -> Samples:
    labels = sorted(runs)
    if not labels:
        return Samples([], np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0))
    starts = np.append(0, np.cumsum([len(runs[each][0]) for each in labels]))
    times, values = (np.concatenate([runs[each][part] for each in labels]) for part in (0, 1))
    return Samples(labels, starts, times, values)
