"""Carries frames from the journal into the history: one thread a partition, exactly once, in tiers."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twofold.errors import Transient
from twofold.flow.background import Background
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.catalog import Catalog
from twofold.store.failpoints import reach
from twofold.store.history import History
from twofold.store.journal import Journal, batches, read_past_damage
from twofold.store.journal.codec import decode_series

log = logging.getLogger(__name__)

CONSUMER: Final = "history"
_TEXTS: Final = frozenset({FrameKind.LOGS, FrameKind.SPANS, FrameKind.PREDICTIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderConfig:
    """When the hot window becomes files.

    Attributes:
        flush_s: Longest time that telemetry stays in the hot window and the journal alone.
        flush_rows: Rows after which it is written earlier; bounds memory.
        text_rows: As how many rows a line, span or prediction counts: its texts take so much more memory than a sample.
        frames: Most frames read at once.
        retry_s: Pause before a transient failure is tried again.
        linger_s: Frames that come so soon after the first are taken with it: each waking of a thread costs the others.
    """

    flush_s: float = 30.0
    flush_rows: int = 2_000_000
    text_rows: int = 12
    frames: int = 16
    retry_s: float = 1.0
    linger_s: float = 0.03


class Recorder(Background):
    """One thread over all partitions. A crash loses nothing: it goes on at the committed position.

    Readers see rows as soon as `append` returned; files follow with the next flush.

    Attributes:
        flushes, held: How often the hot window was written, and how often that had to wait.
        failure: What ended the thread, if anything did.
    """

    def __init__(
        self, journal: Journal, history: History, catalog: Catalog, config: RecorderConfig | None = None
    ) -> None:
        super().__init__("recorder")
        self._journal = journal
        self._history = history
        self._catalog = catalog
        self._config = config or RecorderConfig()
        self._positions: dict[int, Position] = {p: journal.committed(CONSUMER, p) for p in journal.partitions()}
        self._rows = 0
        self.failure: BaseException | None = None
        self.flushes = 0
        self.damaged = 0
        self.held = 0

    def drain(self) -> int:
        """Take every frame that is durable now, in the calling thread; returns their number.

        Raises:
            Transient: The hot window is full and cannot be written; nothing is lost, the journal keeps what comes.
        """
        frames = 0
        for partition in self._journal.partitions():
            while batch := self._next(partition):
                self._history.append(partition, batch)
                self._positions[partition] = batch[-1][0]
                self._rows += sum(self._weight(frame) for _, frame in batch)
                frames += len(batch)
        return frames

    def _weight(self, frame: Frame) -> int:
        return frame.rows * (self._config.text_rows if frame.kind in _TEXTS else 1)

    def _next(self, partition: int) -> Sequence[tuple[Position, Frame]]:
        """The next frames; a full hot window is written first, so a disk that takes nothing fills no memory."""
        if self._rows >= self._config.flush_rows:
            self.flush()
        found, lost = read_past_damage(self._journal, partition, self._positions[partition], self._config.frames)
        for error in lost:
            self.damaged += 1
            log.error("a damaged frame never reaches the history: %s", error)
        return found

    def flush(self) -> None:
        """Write the hot window, then release the journal. Definitions go first: samples without names are lost."""
        self._catalog.save()
        for partition, position in self._history.flush().items():
            reach("recorder.flush")
            self._journal.commit(CONSUMER, partition, position)
        self._rows = 0
        self.flushes += 1

    def loop(self) -> None:
        """Take what is durable, flush when it is time and at the end."""
        due = time.monotonic() + self._config.flush_s
        try:
            while not self.stopping.is_set():
                try:
                    taken = self.drain()
                    if time.monotonic() >= due:
                        due = time.monotonic() + self._config.flush_s
                        self.flush()
                except Transient as error:
                    self.held += 1
                    log.warning("the history could not be written, the journal keeps it: %s", error)
                    self.stopping.wait(self._config.retry_s)
                    continue
                if not taken:
                    first = self._journal.partitions()[0]
                    if self._journal.wait(first, self._positions[first], timeout_s=0.2):
                        self.stopping.wait(self._config.linger_s)
            self.drain()
            self.flush()
        except BaseException as error:  # the thread's boundary: readiness turns false, the journal keeps the frames
            log.exception("the history is no longer written")
            self.failure = error


def recall_series(journal: Journal, catalog: Catalog) -> int:
    """Give the catalog the definitions that a crash left in the journal alone; returns how many frames held any.

    Before anything registers a series: sids that were given out must stay what they are. Raises `Corrupt`.
    """
    frames = 0
    for partition in journal.partitions():
        for _, frame in batches(journal, partition, journal.committed(CONSUMER, partition)):
            if frame.kind is FrameKind.SERIES:
                catalog.restore(decode_series(frame))
                frames += 1
    return frames
