"""Every fault of the demo's shop is diagnosed with evidence, through the real grouping stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.unit.correlate.shop import (
    FAULTS,
    at,
    at_ns,
    deploy,
    edges,
    ends,
    failing,
    finding,
    slow,
    slow_call,
)
from twofold.aiops.correlate import Correlate
from twofold.aiops.diagnose import Diagnose, DiagnoseConfig
from twofold.errors import Corrupt
from twofold.records.codec import from_json, to_json
from twofold.records.diagnosis import Diagnosis, EvidenceKind
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.example import Exemplar, LogExample
from twofold.records.finding import Finding
from twofold.records.incident import TimelineEntry, TimelineKind

DECOYS = {"latency": "payment", "bad_deploy": "catalog", "memory_leak": "gateway", "cpu_hog": "cart",
          "dependency_down": "catalog", "disk_filling": "checkout", "data_drift": "gateway"}  # fmt: skip


class Chain:
    """Grouping and diagnosis behind each other, fed as the pipeline does."""

    def __init__(self) -> None:
        self.correlate, self.diagnose = Correlate(), Diagnose()
        self.made: list[object] = []
        self.push(edges(), -60)

    def push(self, items: Sequence[object], now: float) -> None:
        kept = [each for each in items if isinstance(each, Correlate.accepts)]
        records = [*self.correlate.process(kept), *self.correlate.advance(at_ns(now))]
        seen = [each for each in (*items, *records) if isinstance(each, Diagnose.accepts)]
        self.made += [*records, *self.diagnose.process(seen), *self.diagnose.advance(at_ns(now))]

    def play(self, items: Sequence[object], until: float = 120, step: float = 5, start: float = -55) -> Chain:
        now, waiting = start, list(items)
        while now <= until:
            self.push([each for each in waiting if moment(each) <= now], now)
            waiting = [each for each in waiting if moment(each) > now]
            now += step
        return self

    def diagnoses(self) -> list[Diagnosis]:
        return [each for each in self.made if isinstance(each, Diagnosis)]


def moment(item: object) -> float:
    if isinstance(item, Exemplar | LogExample):
        return (item.time_ns - at_ns(0)) / 1e9
    time = item.seen if isinstance(item, Finding) else item.time  # type: ignore[attr-defined]  # an Event
    return float((time - at(0)).total_seconds())


@pytest.mark.parametrize("fault", FAULTS)
def test_the_guilty_entity_leads_and_the_decoy_is_not_named(fault: str) -> None:
    build, guilty = FAULTS[fault]
    final = Chain().play(build()).diagnoses()[-1]
    assert final.suspects[0].entity == guilty
    assert f"service:{DECOYS[fault]}" not in [each.entity for each in final.suspects]
    assert sum(each.score for each in final.suspects) <= 1.0
    assert final.ranker == "causes@1"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_diagnosis_comes_with_the_incident_and_has_the_guilty_among_three(fault: str) -> None:
    build, guilty = FAULTS[fault]
    first = Chain().play(build()).diagnoses()[0]
    assert guilty in [each.entity for each in first.suspects[:3]]
    assert (first.time - at(0)).total_seconds() <= 35


def test_only_the_bad_deploy_is_blamed_on_a_change() -> None:
    changes = {fault: Chain().play(build()).diagnoses()[-1].suspects[0].change for fault, (build, _) in FAULTS.items()}
    assert changes.pop("bad_deploy") == "deploy-cart--4"
    assert set(changes.values()) == {""}


def test_an_old_deploy_of_the_guilty_service_is_not_blamed() -> None:
    rows = [deploy("cart", -1200), failing("cart", 0)]
    assert Chain().play(rows, start=-1300).diagnoses()[-1].suspects[0].change == ""


def test_a_promotion_of_a_model_is_blamed_like_a_deploy() -> None:
    promotion = Event(id="p", kind=EventKind.CHANGE, time=at(-20), entity="model:recommender", title="version 3",
                      change=ChangeKind.PROMOTION, version="3")  # fmt: skip
    rows = [promotion, finding("model:recommender", "model.latency.p95", 0), slow("recommendation", 2)]
    top = Chain().play(rows).diagnoses()[-1].suspects[0]
    assert (top.entity, top.change) == ("model:recommender", "p")


def test_a_new_data_version_is_blamed_although_a_dataset_has_no_series() -> None:
    version = Event(id="d", kind=EventKind.CHANGE, time=at(-30), entity="dataset:items", title="items v2",
                    change=ChangeKind.DATA_VERSION)  # fmt: skip
    rows = [version, finding("model:recommender", "model.output.psi", 0), slow("recommendation", 2, score=4)]
    found = Chain().play(rows).diagnoses()[-1].suspects
    assert "dataset:items" in [each.entity for each in found[:3]]
    assert next(each for each in found if each.entity == "dataset:items").change == "d"


def test_two_faults_at_once_are_both_among_the_first_three() -> None:
    rows = [*FAULTS["latency"][0](), *FAULTS["dependency_down"][0]()]
    final = {each.incident: each for each in Chain().play(rows).diagnoses()}
    named = {each.entity for diagnosis in final.values() for each in diagnosis.suspects[:3]}
    assert {"service:catalog", "service:payment"} <= named


def test_evidence_of_every_kind_is_cited_with_its_reference() -> None:
    exemplar = Exemplar(trace_id="a" * 32, entity="service:checkout", operation="POST /items", duration_ns=40_000_000,
                        error=True, time_ns=at_ns(6), callee="service:cart", kind="client")  # fmt: skip
    line = LogExample(entity="service:cart", time_ns=at_ns(3), severity=17, body="KeyError: 'sku'", trace_id="b" * 32)
    quiet = replace(line, severity=13, body="retry")
    top = Chain().play([*FAULTS["bad_deploy"][0](), exemplar, line, quiet]).diagnoses()[-1].suspects[0]
    by_kind = {each.kind: each for each in top.evidence}
    assert set(by_kind) == set(EvidenceKind)
    assert by_kind[EvidenceKind.TRACE].ref == "a" * 32
    assert by_kind[EvidenceKind.LOG].text == "KeyError: 'sku'"
    assert by_kind[EvidenceKind.CHANGE].ref == "deploy-cart--4"
    assert by_kind[EvidenceKind.TOPOLOGY].ref.endswith("->service:cart")
    series = [each for each in top.evidence if each.kind is EvidenceKind.SERIES]
    assert {each.attributes["metric"] for each in series} >= {"span.error_ratio"}
    assert sum(each.weight for each in top.evidence) <= 1.001
    assert all(each.start <= each.end for each in top.evidence)


def test_reason_and_timeline_tell_why() -> None:
    chain = Chain().play(FAULTS["bad_deploy"][0]())
    top = chain.diagnoses()[-1].suspects[0]
    assert top.reason == (
        "Error ratio 60 %, the first to deviate, right after the deploy of cart: cart 2.0.0, "
        "explains the trouble of checkout, gateway"
    )
    lines = [each for each in chain.made if isinstance(each, TimelineEntry) and each.kind is TimelineKind.DIAGNOSIS]
    assert lines[-1].text.startswith("Most suspect: cart (")


def test_an_unchanged_ranking_is_said_once_and_a_growing_one_at_most_every_ten_seconds() -> None:
    rows = [slow("catalog", 0), *(slow_call("gateway", "service:catalog", i, score=12 + i) for i in range(1, 40))]
    chain = Chain().play(rows, step=1)
    times = [each.time for each in chain.diagnoses()]
    assert all((b - a).total_seconds() >= 10 for a, b in pairwise(times))
    assert len(times) <= 3


def test_a_last_diagnosis_comes_when_the_incident_resolves() -> None:
    rows = [slow("catalog", 0), slow_call("gateway", "service:catalog", 2)]
    chain = Chain().play([*rows, *ends(rows, 60)], until=130)
    final = chain.diagnoses()[-1]
    assert final.time == at(60)
    assert json.loads(bytes(chain.diagnose.snapshot()["diagnose"]))["open"] == []


def test_the_stage_goes_on_identically_after_a_restart_in_the_middle() -> None:
    rows = FAULTS["dependency_down"][0]()
    whole = Chain().play(rows)
    broken = Chain()
    broken.play([each for each in rows if moment(each) <= 10], until=10)
    correlate, diagnose = Correlate(), Diagnose()
    correlate.restore(broken.correlate.snapshot())
    diagnose.restore(broken.diagnose.snapshot())
    broken.correlate, broken.diagnose = correlate, diagnose
    broken.play([each for each in rows if moment(each) > 10], start=15)
    assert [to_json(each) for each in broken.made] == [to_json(each) for each in whole.made]


def test_the_same_input_twice_gives_the_same_records() -> None:
    rows = FAULTS["cpu_hog"][0]()
    assert [to_json(each) for each in Chain().play(rows).made] == [to_json(each) for each in Chain().play(rows).made]


def test_an_outside_alert_alone_is_diagnosed() -> None:
    alert = Event(id="x", kind=EventKind.EXTERNAL_ALERT, time=at(0), entity="service:cart", title="CartDown",
                  state="firing", source="alertmanager", attributes={"severity": "page"})  # fmt: skip
    assert Chain().play([alert]).diagnoses()[-1].suspects[0].entity == "service:cart"


def test_memory_is_bounded_in_time_and_number() -> None:
    stage = Diagnose(DiagnoseConfig(max_findings=5, max_examples=2))
    stage.process([slow("cart", i) for i in range(20)])
    stage.process([LogExample(entity="e", time_ns=at_ns(60 * i), severity=17, body="x") for i in range(9)])
    stage.process([deploy("cart", 0)])
    state = json.loads(bytes(stage.snapshot()["diagnose"]))["memories"]["main"]
    assert (len(state["findings"]), len(state["logs"]["e"]), len(state["changes"])) == (5, 2, 1)
    stage.advance(at_ns(8000))
    state = json.loads(bytes(stage.snapshot()["diagnose"]))["memories"]["main"]
    assert (state["findings"], state["logs"], state["changes"]) == ([], {}, [])


def test_the_config_is_json_and_back() -> None:
    config = DiagnoseConfig()
    assert from_json(DiagnoseConfig, json.loads(json.dumps(to_json(config)))) == config


def test_a_damaged_or_foreign_state_is_refused() -> None:
    good = json.loads(bytes(Diagnose().snapshot()["diagnose"]))
    for bad in (b"", b"{}", json.dumps({**good, "version": 99}).encode(), json.dumps({**good, "open": 3}).encode()):
        with pytest.raises(Corrupt):
            Diagnose().restore({"diagnose": bad})
