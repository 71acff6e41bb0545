"""A bar for the pairs of an entity together: the budget is the entity's, however many pairs it has."""

from __future__ import annotations

from collections import deque
from typing import Final

QUIET_S: Final = 6 * 3600.0  # without a score, after which the first of an entity says something
_DAY_S: Final = 86_400.0


class Bars:
    """Lets a score pass that is higher than every one of its entity in the last `1 / per_day` days.

    Of scores that come by chance, in whatever number and of whatever distribution, `per_day` a day are the highest of
    so many days once these are over, and a few more before. A pair's own past cannot give that: an entity of a hundred
    pairs has a hundred chances, and pairs that part together are one.

    Args:
        per_day: Scores a day that pass by chance, for each entity.

    >>> bars = Bars(per_day=0.5)
    >>> bars.meet(1, 0.0)
    >>> [bars.passes(0, score, day * 86_400.0) for day, score in enumerate([3.0, 5.0, 4.0, 4.5])]
    [False, True, False, True]
    """

    def __init__(self, per_day: float) -> None:
        self._memory_s = _DAY_S / per_day
        self._met_s: list[float] = []
        self._highest: dict[int, deque[tuple[float, float]]] = {}  # time and score, scores descending

    def meet(self, entities: int, time_s: float) -> None:
        """There are so many entities now, counted from 0."""
        self._met_s += [time_s] * (entities - len(self._met_s))

    def passes(self, entity: int, score: float, time_s: float) -> bool:
        """Whether it is the highest; learns it. Times of an entity only grow."""
        past = self._highest.setdefault(entity, deque())
        while past and past[0][0] <= time_s - self._memory_s:
            past.popleft()
        highest = score > past[0][1] if past else time_s - self._met_s[entity] >= QUIET_S
        while past and past[-1][1] <= score:
            past.pop()
        past.append((time_s, score))
        return highest

    def snapshot(self) -> list[tuple[float, list[tuple[float, float]]]]:
        """Of each entity when it was met, and its scores: what `restore` takes."""
        return [(met_s, list(self._highest.get(entity, ()))) for entity, met_s in enumerate(self._met_s)]

    def restore(self, state: list[tuple[float, list[tuple[float, float]]]]) -> None:
        """Take back a snapshot. Raises `ValueError` or `TypeError` for what is none."""
        self._met_s = [float(met_s) for met_s, _ in state]
        self._highest = {
            entity: deque((float(time_s), float(score)) for time_s, score in past)
            for entity, (_, past) in enumerate(state)
            if past
        }
