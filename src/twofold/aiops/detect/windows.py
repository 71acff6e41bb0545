"""Event-time windows of the stages that turn spans and logs into series: which one a row is in, and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.errors import ConfigError, Corrupt
from twofold.flow.stage import State
from twofold.records.time import SECOND_NS

NEVER: Final = -(1 << 62)
_LZ4: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)

Int64s = npt.NDArray[np.int64]
Older = tuple[pa.Schema, Callable[[pa.RecordBatch], pa.RecordBatch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Tumbling windows on the watermark.

    Attributes:
        window_s: Width. Narrower finds faster, wider counts more per point.
        grace_s: A window closes this long after the watermark passed its end: exporters send in batches.
        fold_s: A row that is late by no more than this counts in the oldest open window; a later one is dropped.
    """

    window_s: float = 5.0
    grace_s: float = 3.0
    fold_s: float = 30.0

    def __post_init__(self) -> None:
        if self.window_s <= 0 or self.grace_s < 0 or self.fold_s < 0:
            raise ConfigError(
                f"window_s {self.window_s} must be above 0, grace_s {self.grace_s} and fold_s {self.fold_s} not below 0"
            )


class Windows:
    """Gives each row its window and says which windows are complete.

    Attributes:
        width_ns: Width of a window.
        closed_ns: End of the newest closed window; rows before it are late.

    >>> windows = Windows(WindowConfig(window_s=5, grace_s=0, fold_s=5))
    >>> windows.close_until(12 * SECOND_NS) // SECOND_NS
    10
    >>> start, keep = windows.place(np.array([3, 7, 12]) * SECOND_NS)
    >>> (start // SECOND_NS).tolist(), keep.tolist()
    ([0, 10, 10], [False, True, True])
    """

    def __init__(self, config: WindowConfig) -> None:
        self.width_ns = int(config.window_s * SECOND_NS)
        self.closed_ns = NEVER
        self._grace_ns = int(config.grace_s * SECOND_NS)
        self._fold_ns = int(config.fold_s * SECOND_NS)

    def place(self, time_ns: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        """Start of each row's window, and False where the row is too late to count."""
        start = time_ns // self.width_ns * self.width_ns
        late_ns = self.closed_ns - start
        return np.where(late_ns > 0, self.closed_ns, start), late_ns <= max(self._fold_ns, 0)

    def close_until(self, watermark_ns: int) -> int:
        """Move on to the watermark; windows that start before the returned time are complete. Never goes back."""
        self.closed_ns = max(self.closed_ns, (watermark_ns - self._grace_ns) // self.width_ns * self.width_ns)
        return self.closed_ns


class Chunks:
    """Rows of open windows, and of the newest closed one, as Arrow batches of one schema.

    Args:
        older: Schema of the version before, and what makes rows of it into rows of `schema`.

    Attributes:
        late: Rows dropped because their window, and every window near it, had closed.
    """

    def __init__(self, config: WindowConfig, schema: pa.Schema, older: Older | None = None) -> None:
        self._windows = Windows(config)
        self._schema = schema
        self._older = older
        self._open: dict[int, list[pa.RecordBatch]] = {}
        self._last: pa.RecordBatch = _empty(schema)
        self.width_ns = self._windows.width_ns
        self.late = 0

    def place(self, time_ns: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        """Start of the window that each row would be put into now, and False where it would be dropped."""
        return self._windows.place(time_ns)

    def add(self, time_ns: Int64s, rows: pa.RecordBatch) -> None:
        """Put each row into the window of its time."""
        start_ns, keep = self._windows.place(time_ns)
        self.late += int(len(keep) - keep.sum())
        if not keep.any():
            return
        kept = start_ns[keep]
        low, high = int(kept.min()), int(kept.max())
        for start in [low] if low == high else np.unique(kept).tolist():
            mine = (start_ns == start) & keep
            part = rows if mine.all() else rows.filter(pa.array(mine))
            self._open.setdefault(start, []).append(part)

    def close_until(self, watermark_ns: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Start and rows of each window that is complete and has rows, oldest first."""
        limit_ns = self._windows.close_until(watermark_ns)
        for start in sorted(s for s in self._open if s < limit_ns):
            chunk = pa.concat_batches(self._open.pop(start))
            yield start, chunk
            self._last = chunk

    def near(self) -> list[pa.RecordBatch]:
        """Rows of the window closed before and of those still open."""
        return [self._last, *(batch for start in sorted(self._open) for batch in self._open[start])]

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """Rows as Arrow IPC, window starts, and the lateness count."""
        batches = [(start, batch) for start in sorted(self._open) for batch in self._open[start]]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema, options=_LZ4) as writer:
            for batch in (self._last, *(batch for _, batch in batches)):
                writer.write_batch(batch)
        return {
            "windows": np.array([self._windows.closed_ns, self.late, *(start for start, _ in batches)], np.int64),
            "chunks": np.frombuffer(sink.getvalue(), np.uint8),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            closed_ns, late, *starts = np.asarray(state["windows"]).tolist()
            with pa.ipc.open_stream(pa.py_buffer(state["chunks"])) as reader:
                found = list(reader)
            if self._older is not None and reader.schema == self._older[0]:
                last, *batches = (self._older[1](batch) for batch in found)
            elif reader.schema == self._schema:
                last, *batches = found
            else:
                raise Corrupt(f"open windows have columns {reader.schema.names}, not {self._schema.names}")
            opened: dict[int, list[pa.RecordBatch]] = {}
            for start, batch in zip(starts, batches, strict=True):
                opened.setdefault(start, []).append(batch)
        except (KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
            raise Corrupt(f"open windows do not fit this version: {error!r}; replay the journal") from error
        self._windows.closed_ns, self.late, self._last = closed_ns, late, last
        self._open = opened

    def keep(self, column: str, own: npt.NDArray[np.bool_]) -> None:
        """Forget rows of open windows whose number in that column is not among the own ones."""
        for start, batches in list(self._open.items()):
            kept = [batch.filter(pa.array(own[batch.column(column).to_numpy()])) for batch in batches]
            self._open[start] = [batch for batch in kept if batch.num_rows]
            if not self._open[start]:
                del self._open[start]


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)
