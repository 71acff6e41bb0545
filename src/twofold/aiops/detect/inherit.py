"""A new series starts with what a sibling has learnt: the same metric with the same labels but for the instance.

Beside the panel's table. The levels of a new pod are its own, known after its first samples; how much it usually moves,
its daily season and how rare its large moves are it has in common with the pods that were there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.records.series import Series
from twofold.stats.series import heirs

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
NOBODY: Final = -1


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
    """Who inherits from whom: the oldest sibling of each new series, by rows of the panel's table.

    Memory is a row number for each distinct kin.

    >>> heirs = Heirs()
    >>> [heirs.donor(row, Series(sid=row + 1, metric="cpu", entity=f"pod:a-{row}")) for row in range(3)]
    [-1, 0, 0]
    """

    def __init__(self) -> None:
        self._donors: dict[Kin, int] = {}
        self._past: Callable[[], Iterable[tuple[int, Series]]] = tuple

    def donor(self, row: int, series: Series) -> int:
        """Row of the sibling of a new row, `NOBODY` without one. A service's series that name no instance have none."""
        if not series.metric or (series.entity.startswith("service:") and not INSTANCE & series.labels.keys()):
            return NOBODY
        past, self._past = self._past, tuple
        for known, each in past():
            self._donors.setdefault(kin(each), known)
        found = self._donors.setdefault(kin(series), row)
        return found if found != row else NOBODY

    def restore(self, past: Callable[[], Iterable[tuple[int, Series]]]) -> None:
        """Begin from a table that was restored. Its rows and their series are asked for when a new row comes."""
        self._donors.clear()
        self._past = past


def inherit(rows: npt.NDArray[Any], new: Int32s, donor: Int32s) -> npt.NDArray[np.bool_]:
    """Give new rows the usual sizes, season and rarity of their donors; levels stay their own.

    Args:
        rows: The panel's table, changed in place.
        new: Rows that begin; at least `HEAD` samples old.
        donor: A row for each.

    Returns:
        Which rows inherited: not those that `stats.heirs.take` leaves as they are.
    """
    done = np.zeros(len(new), np.bool_)
    heirs.inherit(rows, new, donor, done)
    return done
