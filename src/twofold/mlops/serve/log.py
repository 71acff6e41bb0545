"""The prediction log: every answer as a row, batched off the answer's path, bounded in memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.errors import Permanent, Transient
from twofold.mlops.serve import metrics
from twofold.records.columns import PREDICTIONS

LOG: Final = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One answered request of n rows. `outputs` of shape (n, 0) says that the model raised."""

    time_ns: int
    model: str
    version: str
    stage: str
    request_id: str
    latency_ns: int
    numbers: npt.NDArray[np.float64]
    texts: Sequence[Sequence[str]]
    outputs: npt.NDArray[np.float64]


class PredictionLog:
    """Collects entries and hands them on as batches of schema `PREDICTIONS` from a thread of its own.

    A batch goes out every `every_s`, or sooner once `batch_rows` wait. While the receiver answers
    `Transient` the rows are kept and tried again; when more than `limit_rows` wait, new rows are
    dropped and counted, and answers go on.
    """

    def __init__(
        self,
        on_predictions: Callable[[pa.RecordBatch], object],
        *,
        every_s: float = 0.5,
        batch_rows: int = 1000,
        limit_rows: int = 100_000,
    ) -> None:
        self._on_predictions = on_predictions
        self._every_s = every_s
        self._batch_rows = batch_rows
        self._limit_rows = limit_rows
        self._entries: list[Entry] = []
        self._rows = 0
        self._lock = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to hand on."""
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Note an answer; never waits."""
        rows = len(entry.outputs)
        with self._lock:
            if self._rows + rows > self._limit_rows:
                metrics.LOG_ROWS.labels("dropped_full").inc(rows)
                return
            self._entries.append(entry)
            self._rows += rows
            if self._rows >= self._batch_rows:
                self._lock.notify()

    def close(self, timeout_s: float = 10.0) -> None:
        """Hand on what waits, and stop. What the receiver does not take in time is dropped and counted."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closing or self._rows >= self._batch_rows, self._every_s)
                entries, closing = self._entries, self._closing
                self._entries, self._rows = [], 0
            if entries and not self._hand_on(entries):
                self._put_back(entries, closing=closing)
                time.sleep(0 if closing else self._every_s)
            if closing:
                return

    def _hand_on(self, entries: list[Entry]) -> bool:
        """Whether the entries are done with."""
        rows = sum(len(entry.outputs) for entry in entries)
        try:
            self._on_predictions(batch(entries))
        except Transient as error:
            LOG.warning("%d predictions wait: %s", rows, error.message)
            return False
        except Permanent:
            metrics.LOG_ROWS.labels("refused").inc(rows)
            LOG.exception("%d predictions were refused", rows)
        else:
            metrics.LOG_ROWS.labels("stored").inc(rows)
        return True

    def _put_back(self, entries: list[Entry], *, closing: bool) -> None:
        rows = sum(len(entry.outputs) for entry in entries)
        if closing:
            metrics.LOG_ROWS.labels("dropped_closed").inc(rows)
            return
        with self._lock:
            self._entries = entries + self._entries
            self._rows += rows


def batch(entries: Sequence[Entry]) -> pa.RecordBatch:
    """Entries as one record batch, a row per predicted row."""
    counts = [len(entry.outputs) for entry in entries]
    repeat = np.repeat(np.arange(len(entries)), counts)

    def words(values: list[str]) -> pa.Array:
        return pa.array(values).dictionary_encode().take(pa.array(repeat))

    texts = [row for entry, count in zip(entries, counts, strict=True) for row in (entry.texts or [()] * count)]
    return pa.record_batch(
        [
            pa.array(np.array([entry.time_ns for entry in entries], dtype=np.int64)[repeat]),
            words([entry.model for entry in entries]),
            words([entry.version for entry in entries]),
            words([entry.stage for entry in entries]),
            pa.array([entry.request_id for entry in entries]).take(pa.array(repeat)),
            pa.array(np.array([entry.latency_ns for entry in entries], dtype=np.int64)[repeat]),
            _lists([entry.numbers for entry in entries]),
            pa.array([list(row) for row in texts], type=pa.list_(pa.string())),
            _lists([entry.outputs for entry in entries]),
        ],
        schema=PREDICTIONS,
    )


def _lists(matrices: Sequence[npt.NDArray[np.float64]]) -> pa.Array:
    """A list column from matrices of shape (n_i, k_i)."""
    widths = np.repeat([matrix.shape[1] for matrix in matrices], [len(matrix) for matrix in matrices])
    offsets = np.concatenate(([0], np.cumsum(widths))).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, np.concatenate([matrix.ravel() for matrix in matrices]))
