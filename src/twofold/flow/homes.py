"""Which partition a thing belongs to: an entity by its name, a series by its entity. Growing moves few of them.

Linear hashing: when a partition is added, it takes its share from one of the others and all else stays. So what moves
is cut out of one partition's state, nothing has to be put together.

Source: Litwin (1980), "Linear hashing: a new tool for file and table addressing".
"""

from __future__ import annotations

import threading
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.errors import NotFound
from twofold.records.entity import EntityKind, entity_id
from twofold.records.series import Origin, Series, sid_text
from twofold.stats.series.rows import RowIndex
from twofold.store.catalog import Catalog

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FIRST: Final = 0
"""Where everything comes together: changes and alerts from outside, who calls whom, grouping, diagnosis."""


def partition_of(name: str, partitions: int) -> int:
    """Partition of an entity; the same in every process.

    >>> partition_of("service:cart", 1)
    0
    >>> [partition_of("service:cart", partitions) for partitions in (2, 3, 4, 5, 8)]
    [0, 2, 2, 2, 6]
    """
    number, room = zlib.crc32(name.encode()), 1
    while room < partitions:
        room *= 2
    place = number % room
    return place if place < partitions else place - room // 2


def parent_of(partition: int) -> int:
    """The partition that one was split from.

    >>> [parent_of(partition) for partition in range(1, 8)]
    [0, 0, 1, 0, 1, 2, 3]
    """
    return partition - (1 << (partition.bit_length() - 1))


def home_of(series: Series, partitions: int) -> int:
    """Partition of a series: that of its entity, or its own without one; of a derived series where its maker stands."""
    if series.origin is Origin.EVENT:
        return FIRST
    if series.origin is Origin.MODEL:
        return partition_of(entity_id(EntityKind.MODEL, series.labels.get("model", "")), partitions)
    return partition_of(series.entity or sid_text(series.sid), partitions)


class Homes:
    """Partitions of series by sid, each looked up once. Thread-safe.

    Memory is 20 bytes a series, and none with one partition.
    """

    def __init__(self, catalog: Catalog, partitions: int) -> None:
        self.partitions = partitions
        self._catalog = catalog
        self._lock = threading.Lock()
        self._known: dict[str, tuple[RowIndex, npt.NDArray[np.int16]]] = {}

    def of(self, sids: Int64s, tenant: str) -> npt.NDArray[np.int16]:
        """Partition of each sid; one that the catalog does not know goes by its number."""
        with self._lock:
            index, homes = self._known.get(tenant) or (RowIndex(), np.zeros(0, np.int16))
            rows = index.rows(sids)
            if len(index) > len(homes):
                new = [self._home(sid, tenant) for sid in index.sids[len(homes) :].tolist()]
                homes = np.concatenate([homes, np.array(new, np.int16)])
            self._known[tenant] = index, homes
            return homes[rows]

    def _home(self, sid: int, tenant: str) -> int:
        try:
            return home_of(self._catalog.get(sid, tenant=tenant), self.partitions)
        except NotFound:
            return partition_of(sid_text(sid), self.partitions)


class Own:
    """What belongs to one partition, of one tenant: see `flow.stage.Mine`."""

    def __init__(self, homes: Homes, partition: int, tenant: str) -> None:
        self._homes, self._partition, self._tenant = homes, partition, tenant
        self.first = partition == FIRST

    def entity(self, name: str) -> bool:
        """See `Mine.entity`."""
        return partition_of(name, self._homes.partitions) == self._partition

    def sids(self, sids: Int64s) -> Bools:
        """See `Mine.sids`."""
        found: Bools = self._homes.of(np.ascontiguousarray(sids, np.int64), self._tenant) == self._partition
        return found
