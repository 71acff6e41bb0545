"""A forecast in plain words: what will be full, when, how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from twofold.records.series import Series
from twofold.records.signal import Signal, signal_of
from twofold.records.slo import BUDGET

_NAMES: Final = {Signal.DISK: "disk", Signal.MEMORY: "memory"}
_PLACES: Final = ("slo", "mountpoint", "system.filesystem.mountpoint", "device", "system.device", "volume", "path")
_STEPS: Final = ((86_400.0, "d", 3_600.0, "h"), (3_600.0, "h", 60.0, "min"), (60.0, "min", 1.0, "s"))


def subject(series: Series) -> str:
    """What of the entity it is: the mount point or device, where labels say so."""
    return next((series.labels[name] for name in _PLACES if name in series.labels), "")


def span(seconds: float) -> str:
    """A time ahead, in two units at most.

    >>> span(273_600), span(7_300), span(95), span(math.inf)
    ('3 d 4 h', '2 h 2 min', '1 min 35 s', 'later')
    """
    if not math.isfinite(seconds):
        return "later"
    for size, name, part, rest in _STEPS:
        if seconds >= size:
            whole, left = divmod(round(seconds / part), round(size / part))
            return f"{whole} {name} {left} {rest}" if left else f"{whole} {name}"
    return f"{seconds:.0f} s"


def reason(
    series: Series,
    rising: bool,  # noqa: FBT001 - one of two words
    value: float,
    eta_s: Sequence[float],
    reached: float = 1.0,
) -> str:
    """One sentence. `eta_s` are the 10 %, 50 % and 90 % points of the time that is left, in seconds.

    `reached` is the share of the limit that counts as full; where it is not all of it, the sentence says so.

    >>> disk = Series(sid=1, metric="system.filesystem.utilization", unit="1", labels={"mountpoint": "/data"})
    >>> reason(disk, True, 0.81, [172_800, 273_600, 518_400])
    'disk /data full in 3 d 4 h (80 %: 2 d to 6 d), 81 % now'
    >>> reason(disk, True, 0.81, [172_800, 273_600, 518_400], 0.95)
    'disk /data 95 % full in 3 d 4 h (80 %: 2 d to 6 d), 81 % now'
    >>> budget = Series(sid=1, metric="slo.budget_left", unit="1", labels={"slo": "orders go through"})
    >>> reason(budget, False, 0.4, [86_400, 172_800, math.inf])
    'error budget of orders go through used up in 2 d (80 %: 1 d to later), 40 % left'
    """
    name = "error budget of" if series.metric == BUDGET else _NAMES.get(signal_of(series.metric), series.metric)
    what = " ".join(part for part in (name, subject(series)) if part)
    early, middle, late = eta_s
    now = (
        f"{value:.0%}".replace("%", " %")
        if series.unit in ("1", "") and (rising or series.metric == BUDGET)
        else f"{value:.3g} {series.unit}".strip()
    )
    share = "" if reached == 1.0 else f"{reached:.3%}".rstrip("%").rstrip("0").rstrip(".") + " % "
    end = share + ("full" if rising else "used up")
    when = "left" if series.metric == BUDGET else "now"
    return f"{what} {end} in {span(middle)} (80 %: {span(early)} to {span(late)}), {now} {when}"
