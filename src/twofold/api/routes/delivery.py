"""From development to production: pipelines, and the four keys of delivery."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from twofold.api.router import Caller, Filter, Svc, router
from twofold.api.rules import needs
from twofold.api.views.delivery import Delivered, Delivery, Figure
from twofold.records.access import Permission
from twofold.records.series import Series, sid_text
from twofold.records.time import to_datetime, to_ns

routes = router("delivery")
PIPELINES: Final = ("ci.pipeline.duration", "ci.pipeline.queued", "ci.pipeline.failed_ratio")
DEPLOYMENTS: Final = (
    "deploy.lead_time",
    "deploy.frequency",
    "deploy.change_failure_ratio",
    "deploy.recovery_time",
)
_BACK: Final = timedelta(days=30)
_SERIES: Final = 1000  # of one metric: pipelines and services that one answer holds


@routes.get("/delivery", operation_id="get_delivery", openapi_extra=needs(Permission.READ))
def get_delivery(caller: Caller, services: Svc, entity: Filter = "") -> Delivery:
    """Durations and failures of pipelines; lead time, frequency, failures and recovery of deployments."""
    found: dict[tuple[str, ...], list[Series]] = defaultdict(list)
    for metric in (*PIPELINES, *DEPLOYMENTS):
        for series in services.catalog.find(tenant=caller.tenant, metric=metric, entity=entity)[:_SERIES]:
            place = tuple(series.labels.get(name, "") for name in ("repository", "pipeline", "environment"))
            found[series.entity, *place].append(series)
    figures = _figures([each for group in found.values() for each in group], services, caller.tenant)
    items = [
        Delivered(
            entity=key[0],
            repository=key[1],
            pipeline=key[2],
            environment=key[3],
            figures=[figures[series.sid] for series in group if series.sid in figures],
        )
        for key, group in sorted(found.items())
    ]
    known = [item for item in items if item.figures]
    return Delivery(
        pipelines=[item for item in known if item.pipeline],
        deployments=[item for item in known if not item.pipeline],
    )


def _figures(wanted: list[Series], services: Svc, tenant: str) -> dict[int, Figure]:
    """By sid, of the series that had a value in the last 30 days."""
    if not wanted:
        return {}
    now = datetime.now(UTC)
    table = services.history.samples([one.sid for one in wanted], to_ns(now - _BACK), to_ns(now) + 1, tenant=tenant)
    sid, time_ns, value = (table.column(name).to_numpy() for name in ("sid", "time_ns", "value"))
    made = {}
    for series in wanted:
        mine = sid == series.sid
        if not mine.any():
            continue
        last = int(np.argmax(time_ns[mine]))
        made[series.sid] = Figure(
            metric=series.metric,
            series=sid_text(series.sid),
            unit=series.unit,
            value=float(value[mine][last]),
            median=float(np.median(value[mine])),
            points=int(mine.sum()),
            time=to_datetime(int(time_ns[mine][last])),
        )
    return made
