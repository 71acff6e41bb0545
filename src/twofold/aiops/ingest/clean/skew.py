"""Senders whose clock is wrong: how far the newest event of a request lies from the moment it came in.

Suits senders that send what they have every few seconds. A sender that holds its telemetry back looks like one whose
clock is slow, which is said so; a clock that is fast cannot look like anything else.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.aiops.ingest.clean.config import SkewConfig
from twofold.records.event import Event, EventKind
from twofold.records.frame import FrameKind
from twofold.records.time import SECOND_NS, to_datetime

SOURCE: Final = "twofold"
_NEVER: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class _Clock:
    offsets: deque[int]
    wrong: bool = field(default=False)


class Clocks:
    """The median offset of each entity of each tenant. Thread-safe; memory is bounded by `SkewConfig.entities`.

    Args:
        gauge: Told the offset in seconds of a clock that is wrong, and None when it is right again.
    """

    def __init__(self, config: SkewConfig, gauge: Callable[[str, float | None], None]) -> None:
        self._config = config
        self._gauge = gauge
        self._clocks: OrderedDict[tuple[str, str], _Clock] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, tenant: str, entity: str, newest_ns: int, now_ns: int) -> Event | None:
        """Take a request's newest event; gives an event when the clock turns out wrong, or right again."""
        with self._lock:
            clock = self._clock(tenant, entity)
            clock.offsets.append(now_ns - newest_ns)
            if len(clock.offsets) < self._config.requests:
                return None
            offset_s = median(clock.offsets) / SECOND_NS
            limit_s = self._config.limit_s / 2 if clock.wrong else self._config.limit_s
            wrong = abs(offset_s) > limit_s
            turned, clock.wrong = wrong != clock.wrong, wrong
        if wrong or turned:
            self._gauge(entity, offset_s if wrong else None)
        return _event(tenant, entity, offset_s, now_ns, wrong=wrong) if turned else None

    def _clock(self, tenant: str, entity: str) -> _Clock:
        key = (tenant, entity)
        found = self._clocks.get(key)
        if found is None:
            found = self._clocks[key] = _Clock(deque(maxlen=self._config.requests))
            if len(self._clocks) > self._config.entities:
                (_, gone), old = self._clocks.popitem(last=False)
                if old.wrong:
                    self._gauge(gone, None)
        self._clocks.move_to_end(key)
        return found


def _event(tenant: str, entity: str, offset_s: float, now_ns: int, *, wrong: bool) -> Event:
    name = entity.partition(":")[2]
    side = "behind ours, or its telemetry comes that late" if offset_s > 0 else "ahead of ours"
    state = "wrong" if wrong else "right"
    title = f"clock of {name} is {abs(offset_s):.0f} s {side}" if wrong else f"clock of {name} is right again"
    return Event(
        id=hashlib.sha256("\x00".join((tenant, "clock", entity, state, str(now_ns))).encode()).hexdigest()[:32],
        kind=EventKind.NOTICE,
        time=to_datetime(now_ns),
        entity=entity,
        title=title,
        tenant=tenant,
        state=state,
        source=SOURCE,
        attributes={"offset_s": f"{offset_s:.3f}"},
    )


def newest_of(kind: FrameKind, batch: pa.RecordBatch) -> dict[str, int]:
    """The newest event time of each entity in a batch of lines or spans."""
    if kind is FrameKind.SPANS:
        time_ns = batch.column("start_ns").to_numpy() + batch.column("duration_ns").to_numpy()
    else:
        time_ns = batch.column("time_ns").to_numpy()
    return _by_word(batch.column("entity"), time_ns)


def _by_word(column: pa.DictionaryArray, time_ns: npt.NDArray[np.int64]) -> dict[str, int]:
    words = column.dictionary.to_pylist()
    newest = np.full(len(words), _NEVER)
    np.maximum.at(newest, column.indices.to_numpy(), time_ns)
    return {word: time for word, time in zip(words, newest.tolist(), strict=True) if time != _NEVER}
