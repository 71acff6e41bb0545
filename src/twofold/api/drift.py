"""What the models pages compute: newest drift, rates, who is live, who gets which traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from twofold.api.services import Services
from twofold.api.views.models import DriftValue, Traffic
from twofold.mlops.traffic import fold
from twofold.records.entity import EntityKind, entity_id
from twofold.records.model import Release
from twofold.records.series import Series, sid_text
from twofold.records.time import to_ns

DRIFT_METRICS: Final = ("model.drift.psi", "model.output.psi")
RATE_METRIC: Final = "model.request_rate"
_NEWEST: Final = timedelta(hours=1)  # how far back a newest value may lie


def newest(services: Services, series: Sequence[Series], tenant: str) -> Mapping[int, float]:
    """The newest sample of each series, where there is one within the last hour."""
    if not series:
        return {}
    now = datetime.now(UTC)
    sids = [each.sid for each in series]
    table = services.history.samples(sids, to_ns(now - _NEWEST), to_ns(now) + 1, tenant=tenant)
    columns = (table.column(name).to_pylist() for name in ("sid", "value"))
    return dict(zip(*columns, strict=True))


def drift_of(
    services: Services, tenant: str, live: Mapping[str, str], model: str = ""
) -> Mapping[str, list[DriftValue]]:
    """Newest drift values by model (only of `model` when given), worst first.

    Of each model's live version, by `live`, where it has one.
    """
    every = [s for metric in DRIFT_METRICS for s in services.catalog.find(tenant=tenant, metric=metric)]
    found = [s for s in every if model in {"", model_of(s.entity)} and _answers(s, live)]
    values = newest(services, found, tenant)
    drift: dict[str, list[DriftValue]] = {}
    for series in found:
        drift.setdefault(model_of(series.entity), []).append(
            DriftValue(
                entity=series.entity,
                feature=series.entity.partition("/")[2],
                series=sid_text(series.sid),
                value=values.get(series.sid),
            )
        )
    for each in drift.values():
        each.sort(key=lambda value: -1.0 if value.value is None else value.value, reverse=True)
    return drift


def request_rates(services: Services, tenant: str, live: Mapping[str, str]) -> Mapping[str, float]:
    """Requests a second by model, of its live version where it has one."""
    found = [s for s in services.catalog.find(tenant=tenant, metric=RATE_METRIC) if _answers(s, live)]
    values = newest(services, found, tenant)
    rates: dict[str, float] = {}
    for series in found:
        if series.sid in values:
            model = model_of(series.entity)
            rates[model] = rates.get(model, 0.0) + values[series.sid]
    return rates


def _answers(series: Series, live: Mapping[str, str]) -> bool:
    """Whether the series is of the version that answers: monitors keep one series a version."""
    wanted = live.get(model_of(series.entity), "")
    return series.labels.get("version", wanted) == wanted or not wanted


def model_of(entity: str) -> str:
    """The model that a `model:` or `feature:` entity belongs to; empty for others.

    >>> model_of("feature:ranker/age"), model_of("model:ranker"), model_of("service:cart")
    ('ranker', 'ranker', '')
    """
    kind, _, name = entity.partition(":")
    if kind == EntityKind.FEATURE:
        return name.partition("/")[0]
    return name if kind == EntityKind.MODEL else ""


def model_entity(model: str) -> str:
    """The entity id of a model."""
    return entity_id(EntityKind.MODEL, model)


def traffic_of(releases: Iterable[Release]) -> list[Traffic]:
    """Who answers requests now, from one model's releases in any order: live, then canaries, then shadows."""
    table = fold(sorted(releases, key=lambda release: release.seq)).table()
    return [Traffic(version=version, stage=stage, weight=weight) for version, stage, weight in table]


def live_version(releases: Iterable[Release]) -> str:
    """The version that answers; empty when none does."""
    return fold(sorted(releases, key=lambda release: release.seq)).live
