"""Time in a replay: how much of it was observed, and the receivers' clock: what `FrameKind.TICK` is to the live lane.

Live, a frame of the clock moves event time on each second while nothing comes, so that silence is noticed. History
keeps samples, no clock; so the clock is made anew here, between one slice of samples and the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from twofold.records.time import SECOND_NS

STEP_S: Final = 10.0
AWAY_NS: Final = 60 * SECOND_NS
RECURS: Final = 2
"""A hole this many times as long as one that recurs is no rhythm of the senders."""
HOLE_NS: Final = 900 * SECOND_NS
"""So long a hole still counts as observed."""
_REMEMBERED: Final = 64


class Heard:
    """How much of a time has samples: what lies between two of them, a hole at most `HOLE_NS`.

    >>> heard = Heard(); heard.add(0); heard.add(60 * SECOND_NS); heard.add(10**6 * SECOND_NS); heard.seconds
    960.0
    """

    def __init__(self) -> None:
        self._last_ns, self._sum_ns = -1, 0

    def add(self, time_ns: int) -> None:
        """Samples at this time, not before the last."""
        if self._last_ns >= 0:
            self._sum_ns += min(time_ns - self._last_ns, HOLE_NS)
        self._last_ns = time_ns

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._sum_ns / SECOND_NS


class Ticks:
    """Gives the moments between slices at which a clock would have ticked.

    A hole in everything is taken for our own absence when it is longer than a minute and than twice the second
    longest of the last holes: nobody was heard then, so nobody is missed. Senders that all report every five minutes
    make such holes too, but again and again. What fails: a pause of ours that is shorter than a rhythm of the
    senders ticks on, where live did not; the detector misses nobody while more than half are silent together.

    Args:
        resume_s: The detector takes a jump of event time by more for a pause of ours; ticks come twice as often.

    >>> [tick // SECOND_NS for tick in Ticks(20.0).until(5 * SECOND_NS, 40 * SECOND_NS)]
    [10, 20, 30]
    """

    def __init__(self, resume_s: float) -> None:
        self._step_ns = max(int(min(STEP_S, resume_s / 2.0) * SECOND_NS), SECOND_NS)
        self._holes: deque[int] = deque(maxlen=_REMEMBERED)

    def until(self, last_ns: int, next_ns: int) -> Iterator[int]:
        """Moments after a slice and before the next; none when there was no slice before, or we were away."""
        hole = next_ns - last_ns
        away = hole > max(AWAY_NS, RECURS * self._usual())
        if hole > self._step_ns:
            self._holes.append(hole)
            if not away:
                yield from range((last_ns // self._step_ns + 1) * self._step_ns, next_ns, self._step_ns)

    def _usual(self) -> int:
        """The second longest of the last holes: the longest may be a single one."""
        return sorted(self._holes)[-2] if len(self._holes) > 1 else 0
