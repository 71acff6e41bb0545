"""Definitions of series as bytes in few large pieces: no Python object a series."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from twofold.store.catalog.intmap import IntMap

PAGE_BYTES: Final = 1 << 20
_LENGTH: Final = 4


class Packed:
    """From sid to identity and rest, in the order in which they came; about 50 bytes a series beside the identity.

    The rest (entity, unit, kind, origin) is the same for many series and kept once.
    """

    __slots__ = ("_pages", "_places", "_rest", "_rests", "_rows", "_sids", "_texts")

    def __init__(self) -> None:
        self._pages: list[bytearray] = []
        self._places = array("q")  # page and offset, by row
        self._rest = array("i")
        self._texts: list[bytes] = []
        self._rests: dict[bytes, int] = {}
        self._sids = array("q")
        self._rows = IntMap()

    def __len__(self) -> int:
        return len(self._sids)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sids)

    def __contains__(self, sid: int) -> bool:
        return self._rows.get(sid) is not None

    def identity(self, sid: int) -> bytes | None:
        """The identity of a series; None for an unknown one."""
        row = self._rows.get(sid)
        return None if row is None else self._identity(row)

    def __getitem__(self, sid: int) -> tuple[bytes, bytes]:
        found = self.get(sid)
        if found is None:
            raise KeyError(sid)
        return found

    def get(self, sid: int) -> tuple[bytes, bytes] | None:
        """Identity and rest; None for an unknown series."""
        row = self._rows.get(sid)
        return None if row is None else (self._identity(row), self._texts[self._rest[row]])

    def sid(self, row: int) -> int:
        """The sid that came at this place."""
        return self._sids[row]

    def add(self, sid: int, identity: bytes, rest: bytes) -> None:
        """Take a definition."""
        number = self._rests.get(rest)
        if number is None:
            number = self._rests[rest] = len(self._texts)
            self._texts.append(rest)
        if not self._pages or len(self._pages[-1]) >= PAGE_BYTES:
            self._pages.append(bytearray())
        page = self._pages[-1]
        self._places.append(len(self._pages) - 1 << 32 | len(page))
        page += len(identity).to_bytes(_LENGTH, "little")
        page += identity
        self._rest.append(number)
        self._sids.append(sid)
        self._rows[sid] = len(self._sids) - 1

    def _identity(self, row: int) -> bytes:
        place = self._places[row]
        page, at = self._pages[place >> 32], (place & 0xFFFFFFFF) + _LENGTH
        return bytes(page[at : at + int.from_bytes(page[at - _LENGTH : at], "little")])
