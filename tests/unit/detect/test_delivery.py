"""Pipelines and deployments become series: the figures, whoever told of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.detect.telemetry import START_NS, MemoryCatalog
from twofold.aiops.detect.delivery.stage import Delivery
from twofold.records.columns import DerivedSamples
from twofold.records.entity import Entity
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.series import Series
from twofold.records.time import to_datetime, to_ns

BEGAN = to_datetime(START_NS)


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def run(number: int, minutes: float, conclusion: str = "success", **told: str) -> Event:
    attributes = {"repository": "shop/cart", "pipeline": "test", "run": str(number), "conclusion": conclusion} | told
    return Event(
        id=f"run-{number}-{conclusion}",
        kind=EventKind.NOTICE,
        time=at(minutes),
        entity="service:cart",
        title="test of cart",
        attributes={name: value for name, value in attributes.items() if value},
    )


def deploy(minutes: float, change: ChangeKind = ChangeKind.DEPLOY, **told: str) -> Event:
    return Event(
        id=f"deploy-{minutes}",
        kind=EventKind.CHANGE,
        time=at(minutes),
        entity="service:cart",
        title="deploy of cart",
        change=change,
        attributes=told,
    )


def pushed(commit: str, minutes: float) -> Event:
    told = {"commit": commit, "committed": at(minutes).isoformat()}
    return Event(
        id=f"push-{commit}", kind=EventKind.NOTICE, time=at(minutes), entity="service:cart", title="", attributes=told
    )


def alert(minutes: float, **changes: Any) -> Event:
    plain: dict[str, Any] = {"id": f"alert-{minutes}", "kind": EventKind.EXTERNAL_ALERT, "time": at(minutes)}
    more: dict[str, Any] = {"entity": "service:cart", "title": "down", "state": "firing"}
    return Event(**plain, **(more | changes))


class Told:
    """A stage, and all values that it made by metric."""

    def __init__(self) -> None:
        self.catalog = MemoryCatalog()
        self.stage = Delivery(self.catalog)
        self.made: list[object] = []

    def take(self, *events: Event) -> Told:
        self.stage.process(events)
        self.made += self.stage.advance(max(to_ns(event.time) for event in events) + 5 * 10**9)
        return self

    def values(self, metric: str) -> list[float]:
        found = []
        for item in self.made:
            if isinstance(item, DerivedSamples):
                sid, _, value = item.columns()
                found += [v for s, v in zip(sid, value, strict=True) if self.catalog.series[int(s)].metric == metric]
        return found


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_run_gives_its_duration_its_wait_and_the_share_that_failed(told: Told) -> None:
    told.take(run(1, 1, duration_s="60", queued_s="5"), run(2, 2, "failure", duration_s="90"))
    told.take(run(3, 3, "cancelled", duration_s="2"))
    assert told.values("ci.pipeline.duration") == [60.0, 90.0, 2.0]
    assert told.values("ci.pipeline.queued") == [5.0]
    assert told.values("ci.pipeline.failed_ratio") == [0.0, 0.5], "a cancelled run says nothing of the pipeline"
    (entity,) = {item.id for item in told.made if isinstance(item, Entity)}
    assert entity == "job:shop/cart/test"
    series = {item.metric: item for item in told.made if isinstance(item, Series)}
    assert series["ci.pipeline.duration"].entity == entity
    assert series["ci.pipeline.duration"].labels == {"repository": "shop/cart", "pipeline": "test"}


def test_a_run_whose_start_and_end_are_told_apart_has_the_time_between(told: Told) -> None:
    told.take(run(7, 1, "", started="yes"), run(7, 4))
    assert told.values("ci.pipeline.duration") == [180.0]


def test_lead_time_is_from_the_commit_to_its_deployment(told: Told) -> None:
    told.take(pushed("f95f852bd8fca8fcc58a", 0), deploy(30, commit="f95f852b"))
    assert told.values("deploy.lead_time") == [1800.0]
    told.take(deploy(60, commit="0000000000000000"))
    assert told.values("deploy.lead_time") == [1800.0], "nobody told when that was committed"
    told.take(deploy(90, commit="1111111111", committed=at(80).isoformat()))
    assert told.values("deploy.lead_time") == [1800.0, 600.0]


def test_failed_and_rolled_back_deployments_count_against_them(told: Told) -> None:
    told.take(deploy(0), deploy(10, state="failure"), deploy(20))
    assert told.values("deploy.change_failure_ratio") == [0.0, 0.5, pytest.approx(1 / 3)]
    assert told.values("deploy.recovery_time") == [600.0]
    told.take(deploy(30, ChangeKind.ROLLBACK))
    assert told.values("deploy.change_failure_ratio")[-1] == 0.5, "the one before it, of four"
    assert told.values("deploy.recovery_time")[-1] == 600.0


def test_an_alert_from_outside_soon_after_counts_against_it_once(told: Told) -> None:
    told.take(deploy(0), alert(10), alert(11), alert(12, entity="service:other"))
    assert told.values("deploy.change_failure_ratio") == [0.0, 1.0]
    told.take(deploy(200), alert(300))
    assert told.values("deploy.change_failure_ratio")[-1] == 0.5, "an hour and more later is not its fault"
    quiet = Told().take(deploy(0), alert(10, attributes={"severity": "warning"}))
    assert quiet.values("deploy.change_failure_ratio") == [0.0]


def test_frequency_is_of_a_week_and_environments_stand_apart(told: Told) -> None:
    told.take(deploy(0), deploy(1, environment="staging"), deploy(2))
    assert told.values("deploy.frequency") == [pytest.approx(n / 7) for n in (1, 1, 2)]
    told.take(deploy(8 * 1440))
    assert told.values("deploy.frequency")[-1] == pytest.approx(1 / 7)


def test_services_that_go_to_one_environment_have_series_of_their_own(told: Told) -> None:
    told.take(deploy(0), replace(deploy(1), id="other", entity="service:search"))
    told.take(alert(2, entity="service:search"))
    found = {item.entity for item in told.made if isinstance(item, Series) and item.metric == "deploy.frequency"}
    assert found == {"service:cart", "service:search"}
    assert told.values("deploy.change_failure_ratio") == [0.0, 0.0, 1.0]
    assert len({s.sid for s in told.catalog.series.values()}) == 4


def test_what_is_sent_again_counts_once(told: Told) -> None:
    told.take(run(1, 1, duration_s="60"))
    told.take(run(1, 1, duration_s="60"), run(2, 3, duration_s="70"))
    assert told.values("ci.pipeline.duration") == [60.0, 70.0]


@pytest.mark.parametrize("duration_s", ["soon", "-1", "nan", "inf", "1e30"])
def test_a_duration_that_is_none_is_left_out(told: Told, duration_s: str) -> None:
    told.take(run(1, 1, duration_s=duration_s))
    assert told.values("ci.pipeline.duration") == []
    assert told.values("ci.pipeline.failed_ratio") == [0.0]
