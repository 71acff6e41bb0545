"""What will run out, and how often that was right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from twofold.api.router import Caller, Filter, Limit, Svc, router, where
from twofold.api.rules import needs
from twofold.api.views.forecasts import Calibration, Forecasts, soonest
from twofold.records.access import Permission
from twofold.records.forecast import Forecast, ForecastState

routes = router("forecasts")
MOST: Final = 1000
_DECIDED: Final = (ForecastState.HIT, ForecastState.MISSED)
_BINS: Final = (0.8, 0.9, 0.95, 1.0 + 1e-9)


@routes.get("/forecasts", operation_id="list_forecasts", openapi_extra=needs(Permission.READ))
def list_forecasts(caller: Caller, services: Svc, entity: Filter = "", limit: Limit = 100) -> Forecasts:
    """What is expected to run out. A withdrawn forecast is undecided: somebody may have cleaned up because of it."""
    ledger, tenant = services.ledger, caller.tenant
    of = where(entity=entity)
    opened = ledger.find(Forecast, tenant=tenant, where=of | {"state": ForecastState.OPEN}, limit=MOST)
    others = [state for state in ForecastState if state is not ForecastState.OPEN]
    ended = ledger.find(Forecast, tenant=tenant, where=of | {"state": others}, limit=limit)
    decided = ledger.find(Forecast, tenant=tenant, where=of | {"state": list(_DECIDED)}, limit=MOST)
    return Forecasts(
        open=soonest(opened)[:limit],
        ended=list(ended),
        calibration=[_bin(decided, low, high) for low, high in pairwise(_BINS)],
    )


def _bin(decided: Sequence[Forecast], low: float, high: float) -> Calibration:
    mine = [one for one in decided if low <= one.claimed < high]
    hit = sum(one.state is ForecastState.HIT for one in mine)
    return Calibration(low=low, high=min(high, 1.0), decided=len(mine), hit=hit)
