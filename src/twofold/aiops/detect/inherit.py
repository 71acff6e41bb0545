"""A new series starts with what a sibling has learnt: the same metric with the same labels but for the instance.

Beside the panel's table. The levels of a new pod are its own, known after its first samples; how much it usually moves,
its daily season and how rare its large moves are it has in common with the pods that were there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.records.series import Series
from twofold.stats.layout import DAY_S, HEAD, NS

Int32s = npt.NDArray[np.int32]
Kin = tuple[str, str, tuple[tuple[str, str], ...]]

INSTANCE: Final = frozenset(
    {
        "container.id",
        "container_id",
        "host.id",
        "host.name",
        "hostname",
        "instance",
        "k8s.pod.name",
        "k8s.pod.uid",
        "node",
        "pod",
        "pod_name",
        "process.pid",
        "service.instance.id",
        "service.version",
        "version",
    }
)
"""Labels that tell one instance of the same thing from another."""
SIZES: Final = ("fast_error", "rest_error", "shock", "shift", "step", "spread", "level_spread")
"""Usual sizes, in the unit of the series."""
RARITY: Final = ("blocks", "peaks", "usual_peak", "peak_spread", "moving", "most", "judged", "tails")
"""How rare large moves are, in usual sizes."""
WORTH: Final = 60
"""Samples of its own that what was inherited is worth."""
LEARNT: Final = 10 * HEAD
"""Samples from which a series has something to leave."""
MOST_RATIO: Final = 4.0
"""A sibling's sizes are stretched with its level, so far; a level beyond it is another thing's."""
ALIKE: Final = 4.0
"""A new series whose own first sizes are so many times the sibling's is not like it."""


def kin(series: Series) -> Kin:
    """What siblings have in common: the metric, the kind of entity, and labels but for those of the instance.

    >>> one = Series(sid=1, metric="cpu", entity="pod:a-1", labels={"pod": "a-1", "service": "a"})
    >>> kin(one) == kin(Series(sid=2, metric="cpu", entity="pod:a-2", labels={"pod": "a-2", "service": "a"}))
    True
    """
    kind, _, name = series.entity.partition(":")
    own = {name, series.entity}
    labels = ((k, v) for k, v in sorted(series.labels.items()) if k not in INSTANCE and v not in own)
    return series.metric, kind, tuple(labels)


class Heirs:
    """Who inherits from whom: finds a donor for each new row, and waits until the row has levels of its own.

    Memory is a row number for each distinct kin, and one for each row that still waits.

    >>> heirs = Heirs()
    >>> heirs.meet(0, Series(sid=1, metric="cpu", entity="pod:a-1"))
    >>> heirs.meet(1, Series(sid=2, metric="cpu", entity="pod:a-2"))
    >>> heirs.waiting
    {1: 0}
    """

    def __init__(self) -> None:
        self._donors: dict[Kin, int] = {}
        self._past: Callable[[], Iterable[tuple[int, Series]]] = tuple
        self.waiting: dict[int, int] = {}

    def meet(self, row: int, series: Series) -> None:
        """Take a new row: its oldest sibling is its donor. A series of a service that names no instance has none."""
        if not series.metric or (series.entity.startswith("service:") and not INSTANCE & series.labels.keys()):
            return
        past, self._past = self._past, tuple
        for known, each in past():
            self._donors.setdefault(kin(each), known)
        donor = self._donors.setdefault(kin(series), row)
        if donor != row:
            self.waiting[row] = donor

    def settle(self, rows: npt.NDArray[Any]) -> int:
        """Let every row inherit that has levels of its own now; gives how many did."""
        ready = [row for row in self.waiting if rows["count"][row] >= HEAD]
        if not ready:
            return 0
        donors = np.array([self.waiting.pop(row) for row in ready], np.int32)
        return int(inherit(rows, np.array(ready, np.int32), donors).sum())

    def restore(self, waiting: Mapping[int, int], past: Callable[[], Iterable[tuple[int, Series]]]) -> None:
        """Take back who waits. Donors are found again from `past`, all rows in order, when a new row asks for one."""
        self._donors.clear()
        self.waiting, self._past = dict(waiting), past


def inherit(rows: npt.NDArray[Any], new: Int32s, donor: Int32s) -> npt.NDArray[np.bool_]:
    """Give new rows the usual sizes, season and rarity of their donors; levels stay their own.

    Rows that know more than their first samples, have an open finding, or are much rougher than their donor
    stay as they are; so do those whose donor has learnt little itself. Sizes are stretched with the level.

    Args:
        rows: The panel's table, changed in place.
        new: Rows that begin; at least `HEAD` samples old.
        donor: A row for each.

    Returns:
        Which rows inherited.
    """
    heir, giver = rows[new], rows[donor]  # copies
    level, other = (np.abs(each["level"] + each["zero"]) for each in (heir, giver))
    ratio = np.divide(level, other, out=np.ones(len(new)), where=other > 0)
    ratio = np.clip(ratio, 1 / MOST_RATIO, MOST_RATIO)
    fit = (heir["count"] >= HEAD) & (heir["count"] < WORTH) & (giver["count"] >= LEARNT) & (heir["opened_ns"] == 0)
    fit &= (heir["kind"] == giver["kind"]) & (heir["spread"] <= ALIKE * ratio * giver["spread"])
    for name in SIZES:
        heir[name] = np.where(giver[name] > 0, ratio * giver[name], heir[name])
    for name in RARITY:
        heir[name] = giver[name]
    heir["season"] = ratio[:, None] * giver["season"]
    now = _season_now(heir)
    heir["slow"] = heir["level"] - now
    heir["fast_rest"] = heir["fast"] - now
    heir["drift"] = 0.0
    heir["quantum"] = np.where(heir["quantum"] == 0, giver["quantum"], heir["quantum"])
    heir["count"] = np.maximum(heir["count"], np.minimum(giver["count"], WORTH))
    rows[new[fit]] = heir[fit]
    found: npt.NDArray[np.bool_] = fit
    return found


def _season_now(rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """As `stats.score.season_at`, for each row at its newest sample."""
    bins = rows["season"].shape[1]
    place = (rows["last_ns"] * NS % DAY_S) / DAY_S * bins
    at = place.astype(np.int64)
    share, every = place - at, np.arange(len(rows))
    here, there = (rows["season"][every, each % bins] for each in (at, at + 1))
    found: npt.NDArray[np.float64] = (1.0 - share) * here + share * there
    return found
