"""A source of samples in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions, matching
from twofold.store.promql.values import Labels, Samples


@dataclass(slots=True)
class Memory:
    """Samples by labels: (milliseconds, value), sorted by time."""

    held: dict[Labels, list[tuple[int, float]]] = field(default_factory=dict)

    def load(self, series: Mapping[Labels, Sequence[tuple[int, float]]]) -> None:
        """Take more samples."""
        for labels, samples in series.items():
            known = dict(self.held.get(labels, ())) | dict(samples)
            self.held[labels] = sorted(known.items())

    def series(self, conditions: Conditions, account: Account) -> Sequence[Labels]:
        """See `Source.series`."""
        every = sorted(self.held)
        kept = np.zeros(len(every), bool)
        for alternative in conditions:
            kept |= matching([dict(labels) for labels in every], alternative)
        account.selected(int(kept.sum()))
        return [every[at] for at in np.flatnonzero(kept).tolist()]

    def select(self, conditions: Conditions, start_ms: int, end_ms: int, account: Account) -> Samples:
        """See `Source.select`."""
        labels, starts, found = [], [0], []
        for each in self.series(conditions, account):
            inside = [sample for sample in self.held[each] if start_ms <= sample[0] <= end_ms]
            if inside:
                labels.append(each)
                found += inside
                starts.append(len(found))
        account.read(len(found))
        times = np.array([time for time, _ in found], np.int64)
        return Samples(labels, np.array(starts), times, np.array([value for _, value in found], np.float64))
