"""Alerts that Grafana, PagerDuty's senders and Kubernetes raise become events, by the payloads they publish."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import Bench
from tests.unit.ingest.test_events import alert, notice
from twofold.aiops.correlate.book import Book
from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.events.config import WebhookConfig
from twofold.errors import ConfigError
from twofold.records.alert import AlertState, Severity
from twofold.records.codec import from_json
from twofold.records.event import Event
from twofold.records.frame import FrameKind
from twofold.records.time import to_ns

# Grafana documentation, "Configure webhook notifications", shortened
GRAFANA = {
    "receiver": "My Super Webhook",
    "status": "firing",
    "orgId": 1,
    "version": "1",
    "externalURL": "https://play.grafana.org/",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1", "service_name": "cart"},
            "annotations": {"description": "The system has high memory usage", "summary": "triggered for zone us-1"},
            "startsAt": "2021-10-12T09:51:03.157076+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://play.grafana.org/alerting/silence/new",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 44.23943737541908, "C": 1},
        }
    ],
}
# PagerDuty documentation, "Send an alert event"
TRIGGER = {
    "payload": {
        "summary": "Example alert on host1.example.com",
        "timestamp": "2015-07-17T08:42:58.315+0000",
        "source": "monitoringtool:cloudvendor:central-region-dc-01:852559987:cluster/api-stats-prod-003",
        "severity": "info",
        "component": "postgres",
        "group": "prod-datapipe",
        "class": "deploy",
        "custom_details": {"ping time": "1500ms", "load avg": 0.75},
    },
    "routing_key": "samplekeyhere",
    "dedup_key": "samplekeyhere",
    "images": [],
    "links": [{"href": "http://example.com/", "text": "Link text"}],
    "event_action": "trigger",
    "client": "Sample Monitoring Service",
    "client_url": "https://monitoring.example.com",
}
# PagerDuty documentation, "Send a change event"
CHANGE = {
    "routing_key": "samplekeyhere",
    "payload": {
        "summary": "Build Success: Increase snapshot create timeout to 30 seconds",
        "timestamp": "2020-07-17T08:42:58.315+0000",
        "source": "acme-build-pipeline-tool-default-i-9999",
        "custom_details": {"build_state": "passed", "build_number": "220", "run_time": "1337s"},
    },
    "links": [{"href": "https://acme.pagerduty.dev/build/2", "text": "View more details in Acme!"}],
}
ENQUEUE, CHANGE_ENQUEUE = "/webhooks/pagerduty/v2/enqueue", "/webhooks/pagerduty/v2/change/enqueue"


def secured(**secrets: Any) -> Bench:
    return Bench(config=IngestConfig(walker=False, webhooks=WebhookConfig(**secrets)))


def events(bench: Bench) -> list[Event]:
    return [from_json(Event, row) for row in bench.rows(FrameKind.EVENTS)]


def test_grafanas_alert_is_an_event_with_its_links_and_values(bench: Bench) -> None:
    assert bench.client.post("/webhooks/grafana", json=GRAFANA).json()["stored"] == 1
    (event,) = events(bench)
    assert (event.source, event.state, event.entity) == ("grafana", "firing", "service:cart")
    assert event.title == "triggered for zone us-1"
    assert event.time.isoformat() == "2021-10-12T07:51:03.157076+00:00"
    assert json.loads(event.attributes["values"])["C"] == 1
    assert event.attributes["silence_url"].endswith("/new")
    assert "panel_url" not in event.attributes


def test_the_old_grafana_alerting_is_unsupported(bench: Bench) -> None:
    assert bench.client.post("/webhooks/grafana", json={"ruleId": 1, "state": "alerting"}).status_code == 400
    assert bench.client.post("/webhooks/grafana", json=GRAFANA | {"version": "2"}).status_code == 415


@pytest.mark.parametrize("stamp", ["", "1757000000"])
def test_grafanas_signature_is_checked_with_and_without_its_time(stamp: str) -> None:
    bench = secured(grafana_secret="s3")  # noqa: S106 - only of this test
    body = json.dumps(GRAFANA).encode()
    signed = f"{stamp}:".encode() + body if stamp else body
    headers = {
        "content-type": "application/json",
        "x-grafana-alerting-signature": hmac.new(b"s3", signed, hashlib.sha256).hexdigest(),
    } | ({"x-grafana-alerting-signature-timestamp": stamp} if stamp else {})
    assert bench.client.post("/webhooks/grafana", content=body, headers=headers).status_code == 200
    assert bench.client.post("/webhooks/grafana", content=body + b" ", headers=headers).status_code == 401
    assert bench.client.post("/webhooks/grafana", json=GRAFANA).status_code == 401
    value = bench.counts.registry.get_sample_value(
        "twofold_ingest_requests_total", {"receiver": "grafana", "code": "401"}
    )
    assert value == 2


def test_an_alert_named_in_the_settings_belongs_to_that_entity() -> None:
    bench = secured(entities={"HighLatency": "model:fraud"})
    bench.client.post("/webhooks/alertmanager", json=notice(alert()))
    assert events(bench)[0].entity == "model:fraud"
    with pytest.raises(ConfigError, match="write kind:name"):
        WebhookConfig(entities={"x": "fraud"})


def test_a_trigger_is_answered_as_pagerduty_does(bench: Bench) -> None:
    answer = bench.client.post(ENQUEUE, json=TRIGGER)
    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "samplekeyhere"}
    (event,) = events(bench)
    assert (event.entity, event.state, event.link) == ("service:postgres", "firing", "https://monitoring.example.com")
    assert event.attributes["alertname"] == "deploy"
    assert event.attributes["load avg"] == "0.75"
    assert event.time.isoformat() == "2015-07-17T08:42:58.315000+00:00"


def test_without_a_key_equal_alerts_share_one(bench: Bench) -> None:
    bare = {key: value for key, value in TRIGGER.items() if key != "dedup_key"}
    first, second = (bench.client.post(ENQUEUE, json=bare).json()["dedup_key"] for _ in range(2))
    assert first == second
    assert len({event.id for event in events(bench)}) == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"event_action": "explode"}, "event_action"),
        ({"payload": {}}, "payload.summary"),
        ({"payload": None}, "payload.summary"),
        ({"payload": TRIGGER["payload"] | {"severity": "loud"}}, "payload.severity"),  # type: ignore[operator]  # a dict
        ({"payload": TRIGGER["payload"] | {"timestamp": "noon"}}, "payload.timestamp"),  # type: ignore[operator]  # a dict
        ({"event_action": "resolve", "dedup_key": ""}, "dedup_key"),
    ],
)
def test_an_invalid_event_is_400_and_names_the_field(bench: Bench, change: dict[str, Any], word: str) -> None:
    answer = bench.client.post(ENQUEUE, json=TRIGGER | change)
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert word.rpartition(".")[2] in answer.json()["errors"][0]


def test_a_resolve_that_names_only_the_key_ends_the_alert(bench: Bench) -> None:
    for action in ("trigger", "acknowledge", "resolve"):
        body = TRIGGER if action == "trigger" else {"routing_key": "k", "dedup_key": "samplekeyhere"}
        assert bench.client.post(ENQUEUE, json=body | {"event_action": action}).status_code == 202
    trigger, acknowledge, resolve = events(bench)
    assert acknowledge.kind == "notice"
    book = Book(CorrelateConfig(), backfilled=False)
    life = book.outside(trigger, to_ns(trigger.time))
    assert life is not None
    assert life.alert.severity is Severity.INFO
    ended = book.outside(resolve, to_ns(resolve.time))
    assert ended is life
    assert life.alert.state is AlertState.RESOLVED
    assert book.outside(resolve, to_ns(resolve.time)) is None, "it ended already"


def test_a_change_event_is_a_change(bench: Bench) -> None:
    answer = bench.client.post(CHANGE_ENQUEUE, json=CHANGE)
    assert (answer.status_code, answer.json()["message"]) == (202, "Change event processed")
    (event,) = events(bench)
    assert (event.kind, event.change) == ("change", "other")
    assert event.entity == "service:acme-build-pipeline-tool-default-i-9999"
    assert event.link == "https://acme.pagerduty.dev/build/2"


def test_routing_keys_that_are_set_are_the_only_ones_taken() -> None:
    bench = secured(pagerduty_keys=("samplekeyhere",))
    assert bench.client.post(ENQUEUE, json=TRIGGER).status_code == 202
    refused = bench.client.post(ENQUEUE, json=TRIGGER | {"routing_key": "other"})
    assert (refused.status_code, refused.json()["status"]) == (401, "invalid event")


# Kubernetes API reference, Event v1 core, as kubernetes-event-exporter posts it
BACKOFF = {
    "metadata": {"name": "cart-x.17", "namespace": "shop", "uid": "7e1d", "resourceVersion": "5"},
    "reason": "BackOff",
    "message": "Back-off restarting failed container",
    "source": {"component": "kubelet", "host": "node-1"},
    "firstTimestamp": "2026-01-01T00:00:00Z",
    "lastTimestamp": "2026-01-01T00:05:00Z",
    "count": 7,
    "type": "Warning",
    "eventTime": None,
    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "cart-7d9f8b6c5-x2x4z", "labels": {"app": "cart"}},
}
SCALED = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "cart.18", "namespace": "shop", "uid": "8a"},
    "eventTime": "2026-01-01T00:00:00.123456Z",
    "reportingController": "deployment-controller",
    "reason": "ScalingReplicaSet",
    "regarding": {"kind": "Deployment", "namespace": "shop", "name": "cart"},
    "note": "Scaled up replica set cart-7d9f8b6c5 to 3",
    "type": "Normal",
}


def test_kubernetes_events_become_alerts_changes_and_notices_by_their_reason(bench: Bench) -> None:
    pulled = BACKOFF | {"reason": "Pulled", "type": "Normal", "metadata": {"uid": "9"}}
    probe = BACKOFF | {"reason": "Unhealthy", "metadata": {"uid": "10"}}
    body = {"kind": "EventList", "items": [BACKOFF, SCALED, pulled, probe, {"type": "ADDED", "object": BACKOFF}]}
    answer = bench.client.post("/webhooks/kubernetes", json=body).json()
    assert (answer["stored"], answer["duplicate"]) == (4, 1)
    crash, scaled, pull, unhealthy = events(bench)
    assert (crash.kind, crash.state, crash.entity) == ("external_alert", "firing", "pod:cart-7d9f8b6c5-x2x4z")
    assert (crash.attributes["severity"], crash.attributes["alertname"]) == ("warning", "BackOff")
    assert crash.time.minute == 5
    assert (scaled.kind, scaled.change, scaled.entity) == ("change", "deploy", "service:cart")
    assert scaled.time.microsecond == 123456
    assert pull.kind == "notice"
    assert (unhealthy.kind, unhealthy.attributes["severity"]) == ("external_alert", "info")


def test_a_repeat_with_a_higher_count_is_another_event_of_the_same_alert(bench: Bench) -> None:
    bench.client.post("/webhooks/kubernetes", json=[BACKOFF, BACKOFF | {"count": 8}])
    first, second = events(bench)
    assert first.id != second.id
    assert first.attributes["fingerprint"] == second.attributes["fingerprint"]


def test_a_node_that_is_ready_again_ends_its_alert(bench: Bench) -> None:
    node = {"kind": "Node", "name": "node-1"}
    gone = {"reason": "NodeNotReady", "involvedObject": node, "type": "Normal", "metadata": {"uid": "1"}}
    back = {"reason": "NodeReady", "involvedObject": node, "type": "Normal", "metadata": {"uid": "2"}}
    bench.client.post("/webhooks/kubernetes", json=[gone, back])
    book = Book(CorrelateConfig(), backfilled=False)
    lives = [book.outside(event, to_ns(event.time)) for event in events(bench)]
    assert lives[0] is lives[1]
    assert lives[0] is not None
    assert lives[0].alert.state is AlertState.RESOLVED


@pytest.mark.parametrize("body", [{}, {"reason": "x"}, {"reason": "x", "regarding": 7}, 5])
def test_what_is_no_kubernetes_event_is_refused(bench: Bench, body: Any) -> None:
    assert bench.client.post("/webhooks/kubernetes", json=body).status_code == 400
    assert bench.counts.total(Item.EVENTS).rejected.total() == 1


def test_no_bytes_make_a_receiver_of_alerts_fail(bench: Bench) -> None:
    chance = repeatable(11)
    bodies: dict[str, list[dict[str, Any]]] = {
        "/webhooks/grafana": [GRAFANA],
        ENQUEUE: [TRIGGER],
        CHANGE_ENQUEUE: [CHANGE],
        "/webhooks/kubernetes": [BACKOFF, SCALED],
    }
    for path, good in bodies.items():
        corpus = [json.dumps(each).encode() for each in good]
        for _ in range(100):
            headers = {"content-type": "application/json"}
            answer = bench.client.post(path, content=mutated(corpus, chance), headers=headers)
            assert answer.status_code in {200, 202, 400, 415}
