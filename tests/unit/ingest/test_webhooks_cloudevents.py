"""CloudEvents come in three modes and mean the same in each."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import Bench
from tests.unit.ingest.test_webhooks_alerts import events
from tests.unit.ingest.test_webhooks_git import DEPLOYMENT_STATUS
from twofold.aiops.ingest.counts import Item
from twofold.records.access import Permission

PATH = "/webhooks/cloudevents"
STRUCTURED = {"content-type": "application/cloudevents+json; charset=UTF-8"}
BATCHED = {"content-type": "application/cloudevents-batch+json"}
# CloudEvents 1.0.2, JSON event format, section 3.2
EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "source": "/mycontext",
    "subject": None,
    "id": "C234-1234-1234",
    "time": "2018-04-05T17:31:00Z",
    "comexampleextension1": "value",
    "comexampleothervalue": 5,
    "datacontenttype": "application/json",
    "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
}
# CDEvents 0.4, service deployed
DEPLOYED: dict[str, Any] = {
    "context": {
        "version": "0.4.1",
        "id": "271069a8-fc18-44f1-b38f-9d70a1695819",
        "source": "/event/source/123",
        "type": "dev.cdevents.service.deployed.0.2.0",
        "timestamp": "2023-03-20T14:27:05.315384Z",
    },
    "subject": {
        "id": "service/orders",
        "source": "/event/source/123",
        "type": "service",
        "content": {"environment": {"id": "production"}, "artifactId": "pkg:oci/orders@1.4.2?repository_url=x"},
    },
}


def cdevent(data: dict[str, Any]) -> dict[str, Any]:
    context = data["context"]
    return {
        "specversion": "1.0",
        "type": context["type"],
        "source": context["source"],
        "id": context["id"],
        "time": context["timestamp"],
        "datacontenttype": "application/json",
        "data": data,
    }


def test_an_unknown_type_is_a_notice_with_its_extensions_and_data(bench: Bench) -> None:
    assert bench.client.post(PATH, content=json.dumps(EXAMPLE), headers=STRUCTURED).status_code == 200
    (event,) = events(bench)
    assert (event.kind, event.title, event.entity) == ("notice", "com.example.someevent", "service:unknown")
    assert event.attributes["comexampleothervalue"] == "5"
    assert json.loads(event.attributes["data"]) == EXAMPLE["data"]
    assert event.time.isoformat() == "2018-04-05T17:31:00+00:00"


def test_binary_structured_and_batched_are_the_same_event(bench: Bench) -> None:
    body = json.dumps(EXAMPLE["data"])
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "com.example.someevent",
        "ce-time": "2018-04-05T17:31:00Z",
        "ce-id": "C234-1234-1234",
        "ce-source": "/mycontext",
        "ce-comexampleextension1": "value",
        "ce-comexampleothervalue": "5",
        "content-type": "application/json; charset=utf-8",
    }
    bench.client.post(PATH, content=json.dumps(EXAMPLE), headers=STRUCTURED)
    bench.client.post(PATH, content=json.dumps([EXAMPLE, EXAMPLE]), headers=BATCHED)
    bench.client.post(PATH, content=body, headers=headers)
    first, *others = events(bench)
    assert len(others) == 2
    assert all(event == first for event in others)
    assert bench.counts.total(Item.EVENTS).duplicate == 1


def test_header_values_are_unquoted_and_percent_decoded(bench: Bench) -> None:
    headers = {"ce-specversion": "1.0", "ce-type": "t", "ce-id": "1", "ce-source": "s"}
    euro = headers | {"ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80", "ce-note": '"a \\"b\\""'}
    assert bench.client.post(PATH, headers=euro).status_code == 200
    assert events(bench)[0].attributes["subject"] == "Euro € 😀"
    assert events(bench)[0].attributes["note"] == 'a "b"'
    answer = bench.client.post(PATH, headers=headers | {"ce-subject": "%C0%A0"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_header")


def test_bytes_are_text_where_they_are_text(bench: Bench) -> None:
    xml = EXAMPLE | {"datacontenttype": "text/xml", "data_base64": base64.b64encode(b"<a/>").decode()}
    xml.pop("data")
    assert bench.client.post(PATH, content=json.dumps(xml), headers=STRUCTURED).status_code == 200
    assert events(bench)[0].attributes["data"] == "<a/>"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "bad_field"),
        ({"source": None}, "bad_field"),
        ({"type": 7}, "bad_field"),
        ({"time": "noon"}, "bad_time"),
        ({"data_base64": "YQ=="}, "bad_field"),
    ],
)
def test_a_bad_event_of_a_batch_is_named_and_the_others_kept(bench: Bench, change: dict[str, Any], reason: str) -> None:
    answer = bench.client.post(PATH, content=json.dumps([EXAMPLE | change, EXAMPLE]), headers=BATCHED).json()
    assert (answer["stored"], [error["reason"] for error in answer["errors"]]) == (1, [reason])


def test_what_is_no_cloudevent_is_400(bench: Bench) -> None:
    for content, headers in (
        ("{}", {"content-type": "application/json"}),
        ("{}", BATCHED),
        ("", {"content-type": "application/cloudevents+avro"}),
        ("[]", STRUCTURED),
    ):
        assert bench.client.post(PATH, content=content, headers=headers).status_code == 400
    assert bench.client.post(PATH, content="[]", headers=BATCHED).status_code == 200, "a batch may be empty"


def test_a_sender_that_asks_first_is_told_that_it_may(bench: Bench) -> None:
    """CloudEvents, HTTP 1.1 web hooks, section 4: the validation handshake."""
    asked = {"webhook-request-origin": "eventemitter.example.com", "webhook-request-rate": "120"}
    answer = bench.client.post(PATH, method="OPTIONS", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert answer.headers["webhook-allowed-rate"] == "*"
    assert "POST" in answer.headers["allow"]
    assert bench.client.post(PATH, method="OPTIONS").status_code == 400
    assert bench.ingest.permissions()[f"OPTIONS {PATH}"] is Permission.SEND


def test_a_cdevent_of_a_deployed_service_is_a_change(bench: Bench) -> None:
    bench.client.post(PATH, content=json.dumps(cdevent(DEPLOYED)), headers=STRUCTURED)
    (event,) = events(bench)
    assert (event.kind, event.change, event.entity, event.version) == ("change", "deploy", "service:orders", "1.4.2")
    assert event.attributes["environment"] == "production"


def test_a_cdevent_of_an_incident_raises_and_ends_an_alert(bench: Bench) -> None:
    for what in ("detected", "resolved"):
        data = {
            "context": DEPLOYED["context"] | {"type": f"dev.cdevents.incident.{what}.0.2.0", "id": what},
            "subject": {
                "id": "incident-7",
                "content": {"service": {"id": "/app/orders"}, "description": "Response time above 10ms"},
            },
        }
        bench.client.post(PATH, content=json.dumps(cdevent(data)), headers=STRUCTURED)
    first, last = events(bench)
    assert (first.state, last.state) == ("firing", "resolved")
    assert first.entity == last.entity == "service:orders"
    assert first.attributes["alertname"] == last.attributes["alertname"]
    assert first.title == "Response time above 10ms"


def test_a_cdevent_of_a_pipeline_run_tells_its_start_and_its_outcome(bench: Bench) -> None:
    for what, content in (
        ("started", {"pipelineName": "build"}),
        ("finished", {"pipelineName": "build", "outcome": "failure"}),
    ):
        data = {
            "context": DEPLOYED["context"] | {"type": f"dev.cdevents.pipelinerun.{what}.0.2.0", "id": what},
            "subject": {"id": "run-7", "source": "/ci/shop", "content": content},
        }
        bench.client.post(PATH, content=json.dumps(cdevent(data)), headers=STRUCTURED)
    first, last = events(bench)
    assert first.attributes.items() >= {"pipeline": "build", "repository": "/ci/shop", "started": "yes"}.items()
    assert "conclusion" not in first.attributes
    assert last.attributes.items() >= {"pipeline": "build", "run": "run-7", "conclusion": "failure"}.items()
    assert first.kind == last.kind == "notice"


def test_githubs_webhook_inside_a_cloudevent_is_the_same_change(bench: Bench) -> None:
    inside = EXAMPLE | {"type": "com.github.deployment_status.created", "data": DEPLOYMENT_STATUS}
    bench.client.post(PATH, content=json.dumps(inside), headers=STRUCTURED)
    (event,) = events(bench)
    assert (event.kind, event.change, event.entity) == ("change", "deploy", "service:Hello-World")


def test_no_bytes_make_the_receiver_of_cloudevents_fail(bench: Bench) -> None:
    chance = repeatable(13)
    corpus = [json.dumps(each).encode() for each in (EXAMPLE, cdevent(DEPLOYED), [EXAMPLE])]
    binary = {"ce-specversion": "1.0", "ce-type": "t", "ce-id": "1", "ce-source": "s"}
    for headers in (STRUCTURED, BATCHED, binary | {"content-type": "application/json"}, binary):
        for _ in range(100):
            answer = bench.client.post(PATH, content=mutated(corpus, chance), headers=headers)
            assert answer.status_code in {200, 400}
