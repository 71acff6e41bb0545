"""Predictions as alerts of a kind of their own: they stand apart, join no incident, and page nobody by default."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.records.alert import Alert, AlertKind, AlertState, Severity
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.frame import Lane
from twofold.records.words import name_of

SOURCE: Final = "twofold.forecast"
_SOON: Final = timedelta(days=1)
_SURE: Final = 0.95
_LEAST: Final = 1e-6
_ENDS: Final = {
    ForecastState.HIT: "came true",
    ForecastState.MISSED: "did not come true",
    ForecastState.WITHDRAWN: "no longer expected",
}


class Foretell:
    """An alert of kind `predicted` for every forecast of what is near, ended when the forecast is judged.

    How near, the forecaster says (`CapacityConfig.lead_s`): what runs out in weeks is a forecast and no alert yet.

    Its fingerprint is that of the series and its limit: a disk that fills again is the same problem. It is stateless,
    and nothing behind it takes alerts, so a prediction can neither open an incident nor join one.

    Args:
        lane: Of the pipeline; what begins in the backfill lane is marked `backfilled`.
    """

    name: ClassVar[str] = "foretell"
    accepts: ClassVar[tuple[type, ...]] = (Forecast,)

    def __init__(self, lane: Lane = Lane.LIVE) -> None:
        self._lane = lane

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """The alert of each forecast as it stands, once it is near."""
        return [self._alert(item, item.alerted) for item in items if isinstance(item, Forecast) and item.alerted]

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Nothing: forecasts come when they change."""
        del watermark_ns
        return ()

    def snapshot(self) -> State:
        """Nothing to keep."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take back. Raises `Corrupt` for what is another stage's."""
        if state:
            raise Corrupt(f"predictions keep no state, not {', '.join(sorted(state))}; replay the journal")

    def _alert(self, forecast: Forecast, since: datetime) -> Alert:
        key = f"{forecast.tenant}\x1fpredicted\x1f{forecast.series}\x1f{forecast.limit:g}"
        soon = forecast.eta is not None and forecast.eta - forecast.seen < _SOON
        title = f"{name_of(forecast.entity)}: {forecast.reason}"
        return Alert(
            id=f"predicted-{forecast.id}",
            fingerprint=hashlib.sha256(key.encode()).hexdigest()[:16],
            entity=forecast.entity,
            signal=forecast.metric,
            title=title if forecast.state is ForecastState.OPEN else f"{title} ({_ENDS[forecast.state]})",
            state=AlertState.FIRING if forecast.state is ForecastState.OPEN else AlertState.RESOLVED,
            severity=Severity.WARNING if soon and forecast.probability >= _SURE else Severity.INFO,
            start=since,
            last_seen=forecast.seen,
            end=forecast.ended,
            source=SOURCE,
            kind=AlertKind.PREDICTED,
            findings=(forecast.id,),
            score=round(-math.log10(max(1.0 - forecast.probability, _LEAST)), 3),
            backfilled=self._lane is Lane.BACKFILL,
            tenant=forecast.tenant,
        )
