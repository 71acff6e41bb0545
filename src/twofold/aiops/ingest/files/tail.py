"""Follows log files as they grow: through rotation, truncation and restarts.

A file is its inode, whatever it is called, so a renamed one is read to its end and the new one from its
start. What was read is stored first and its position saved after, so a crash between the two reads some
lines again, and none is lost. A rotated file that was compressed or deleted before its end was read is gone.
"""

from __future__ import annotations

import fnmatch
import glob
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from twofold.aiops.ingest.capture import Capture
from twofold.aiops.ingest.files.config import TailedFiles
from twofold.aiops.ingest.files.positions import Place, Positions
from twofold.aiops.ingest.files.text import TextReader
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.logs.loki import Loki, push_of
from twofold.aiops.ingest.otlp.message import JSON
from twofold.errors import Transient, TwofoldError
from twofold.flow.background import Background
from twofold.records.frame import FrameKind, Lane

CHUNK: Final = 1 << 20
MAX_ENTRY: Final = 256 << 10  # a longer entry is cut into several
AGAIN_S: Final = 1.0
QUIET_S: Final = 2.0  # an entry whose last line may still get company is complete after so long without any
GONE_S: Final = 10.0  # a file that no pattern names any more is closed when nothing was added for so long

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """A file being followed."""

    place: Place
    file: BinaryIO
    path: str
    size: int = 0
    changed: float = field(default_factory=time.monotonic)
    named: bool = True

    @property
    def quiet_s(self) -> float:
        """How long nothing was added."""
        return time.monotonic() - self.changed


class Tail(Background):
    """Follows the files of the configuration in one thread.

    Args:
        positions: File that keeps how far each was read; None forgets it at the end.
    """

    def __init__(
        self,
        intake: Intake,
        files: Sequence[TailedFiles],
        positions: Path | None = None,
        capture: Capture | None = None,
    ) -> None:
        super().__init__("tail")
        self._intake = intake
        self._capture = capture
        self._positions_path = positions
        self._groups = files

    def start(self) -> None:
        """Begin to follow, where there is anything to follow."""
        if self._groups:
            self.stopping.clear()
            super().start()

    def loop(self) -> None:
        """Follow, and at the end save where we are."""
        positions = Positions(self._positions_path)
        followers = [_Follower(group, positions) for group in self._groups]
        first = positions.fresh
        interval_s = min(group.interval_s for group in self._groups)
        while True:
            last = self.stopping.is_set()
            try:
                moved = sum(self._look(follower, first=first) for follower in followers) > 0  # every one, no short cut
            except (TwofoldError, OSError) as error:
                log.warning("files are not followed for now: %s", error)
                moved = False
            first = False
            if last:
                break
            if not moved:
                self.stopping.wait(interval_s)
        for follower in followers:
            follower.close()

    def _look(self, follower: _Follower, *, first: bool) -> bool:
        """One look at a group's files; whether anything was there."""
        if follower.find(first=first):  # a new file is known before it is read, under whatever name it is found again
            follower.positions.save()
        moved = False
        for opened, entries, offset in follower.entries():
            self._store(follower.config, opened.path, entries)
            opened.place.offset = offset
            moved = True
        if moved:
            follower.positions.save()
        return moved

    def _store(self, config: TailedFiles, path: str, entries: list[bytes]) -> None:
        """Store entries, as often as it takes until the stop. Raises `TwofoldError` when they are not stored."""
        intake = self._intake
        origin = intake.origin(config.tenant, Lane.LIVE)
        lines = Lines()
        service = config.service or Path(path).name.partition(".")[0] or "files"
        latest_ns = intake.latest_ns(origin)
        reader = TextReader(config.zone, origin.time_ns, latest_ns)
        reader.read(entries, lines, service=service, path=path)
        found, outcome = lines.batch(origin.time_ns, latest_ns)
        while True:
            try:
                intake.batch(FrameKind.LOGS, found, outcome, origin, again=True)
                break
            except Transient as error:
                if self.stopping.is_set():
                    raise  # the position stays, so they are read again at the next start
                log.warning("followed files wait for the journal: %s", error)
                self.stopping.wait(AGAIN_S)
        if self._capture is not None:
            self._capture.record(Loki.path, JSON, push_of(found), origin.time_ns)


class _Follower:
    """The files of one pattern."""

    def __init__(self, config: TailedFiles, positions: Positions) -> None:
        self.config = config
        self.positions = positions
        self._starts: Callable[[bytes], object] | None = (
            re.compile(config.starts.encode()).match if config.starts else None
        )
        self._open: dict[tuple[int, int], _Open] = {}
        self._begun = False

    def close(self) -> None:
        """Close all files."""
        for opened in self._open.values():
            opened.file.close()

    def find(self, *, first: bool) -> bool:
        """Open files that are new, under any name, and close those that are gone and read; whether any were new."""
        before = set(self.positions.places)
        for opened in self._open.values():
            opened.named = False
        for path in sorted(glob.glob(self.config.path, recursive=True)):  # noqa: PTH207 - the pattern may be absolute
            self._meet(path, first=first)
        if not self._begun:
            self._begun = True
            self._rotated_away()
        for inode, opened in list(self._open.items()):
            if not opened.named and opened.quiet_s > GONE_S:
                opened.file.close()
                del self._open[inode]
                self.positions.places.pop(inode, None)
        return not before.issuperset(self.positions.places)

    def _meet(self, path: str, *, first: bool) -> None:
        try:
            status = os.stat(path)  # noqa: PTH116 - device and inode, as cheap as it gets
            inode = (status.st_dev, status.st_ino)
            if (opened := self._open.get(inode)) is not None:
                opened.named, opened.path, opened.place.path = True, path, path
                return
            file = open(path, "rb")  # noqa: SIM115, PTH123 - it stays open
        except OSError as error:
            log.info("%s is not followed: %s", path, error)
            return
        if not os.path.isfile(path):  # noqa: PTH113
            file.close()
            return
        place = self.positions.places.get(inode)
        if place is None or not place.is_same(file):
            skip = first and not self.config.from_start
            place = Place(path, inode, offset=status.st_size if skip else 0)
            self.positions.places[inode] = place
        place.path = path
        self._open[inode] = _Open(place, file, path)

    def _rotated_away(self) -> None:
        """Files that were renamed while nobody looked: found by their inode, beside their old name."""
        for inode, place in list(self.positions.places.items()):
            if inode in self._open or not fnmatch.fnmatch(place.path, self.config.path):
                continue
            folder = Path(place.path).parent
            for entry in _entries(folder):
                if entry.inode() == inode[1]:
                    self._meet(entry.path, first=False)
            if inode not in self._open and folder.exists():
                del self.positions.places[inode]

    def entries(self) -> Iterator[tuple[_Open, list[bytes], int]]:
        """Complete entries of each file and the offset behind them; at most `CHUNK` bytes of a file at a time."""
        for opened in list(self._open.values()):
            place = opened.place
            size = os.fstat(opened.file.fileno()).st_size
            if size != opened.size:
                opened.size, opened.changed = size, time.monotonic()
            if size == place.offset:
                continue
            if size < place.offset or not place.is_same(opened.file):
                log.info("%s was truncated; it is read from its start", opened.path)
                place.offset, place.head_bytes, place.head = 0, 0, 0
            place.note_head(opened.file)
            opened.file.seek(place.offset)
            data = opened.file.read(CHUNK)
            last = place.offset + len(data) >= size and opened.quiet_s > QUIET_S
            found, used = self._cut(data, complete=last, over=last and not opened.named)
            if used:
                yield opened, found, place.offset + used

    def _cut(self, data: bytes, *, complete: bool, over: bool) -> tuple[list[bytes], int]:
        """Whole entries at the start of the data, and how many bytes they take; a rest without a line end waits.

        With `complete` no line will join the last entry, with `over` nothing at all will come.
        """
        end = len(data) if over else data.rfind(b"\n") + 1
        if not end:
            return ([data], len(data)) if len(data) >= MAX_ENTRY else ([], 0)
        lines = data[:end].removesuffix(b"\n").split(b"\n")
        if self._starts is None:
            return _shortened(lines), end
        entries: list[list[bytes]] = []
        for line in lines:
            if entries and not self._starts(line):
                entries[-1].append(line)
            else:
                entries.append([line])
        if not complete and sum(len(line) + 1 for line in entries[-1]) < MAX_ENTRY:
            end -= sum(len(line) + 1 for line in entries.pop())  # more lines may belong to it
        return _shortened([b"\n".join(entry) for entry in entries]), end


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if entry.is_file()]
    except OSError:
        return []


def _shortened(entries: list[bytes]) -> list[bytes]:
    """Entries without line ends and empty ones; one that is too long becomes several."""
    found = []
    for entry in entries:
        text = entry.rstrip(b"\r")
        found += [text[at : at + MAX_ENTRY] for at in range(0, len(text), MAX_ENTRY)]
    return found
