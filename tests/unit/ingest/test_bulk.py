"""Elasticsearch's bulk protocol, as Filebeat, Fluent Bit and Vector send it."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.capture import Captured, shift
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.logs.documents import document, parse_time_ns
from twofold.errors import DecodeError, Overloaded
from twofold.records.frame import FrameKind
from twofold.records.time import to_datetime

PATH = "/elasticsearch/_bulk"
NDJSON = {"content-type": "application/x-ndjson"}
NOW = to_datetime(NOW_NS).isoformat().replace("+00:00", "Z")

FILEBEAT = {
    "@timestamp": NOW,
    "message": "GET /cart 500",
    "log": {"level": "error", "offset": 7, "file": {"path": "/var/log/cart.log"}},
    "service": {"name": "cart"},
    "trace": {"id": "ab" * 16},
    "span": {"id": "cd" * 8},
    "host": {"name": "web1"},
    "ecs": {"version": "8.0.0"},
    "agent": {"type": "filebeat", "ephemeral_id": "x", "id": "y"},
}
FLUENT_BIT = {
    "@timestamp": NOW,
    "log": '{"level":"warn","msg":"slow"}',
    "kubernetes": {"pod_name": "cart-1", "container_name": "cart", "labels": {"app": "cart"}},
}


def bulk(*documents: Any, action: str = "create") -> bytes:
    return b"".join(
        b'{"%s":{"_index":"logs"}}\n%s\n' % (action.encode(), json.dumps(each).encode()) for each in documents
    )


def test_documents_of_filebeat_and_fluent_bit_become_lines(bench: Bench) -> None:
    answer = bench.client.post(PATH, content=bulk(FILEBEAT, FLUENT_BIT), headers=NDJSON)
    assert answer.status_code == 200
    assert answer.json()["errors"] is False
    assert [item["create"]["status"] for item in answer.json()["items"]] == [201, 201]
    assert answer.headers["x-elastic-product"] == "Elasticsearch"
    first, second = bench.rows(FrameKind.LOGS)
    assert (first["time_ns"], first["entity"], first["severity"]) == (NOW_NS, "service:cart", 17)
    assert (first["body"], first["trace_id"], first["span_id"]) == ("GET /cart 500", "ab" * 16, "cd" * 8)
    kept = orjson.loads(first["attributes"])
    assert kept["log.file.path"] == "/var/log/cart.log"
    assert not {"message", "@timestamp", "ecs.version", "agent.ephemeral_id", "trace.id"} & set(kept)
    assert (second["entity"], second["severity"], second["body"]) == ("service:cart", 13, FLUENT_BIT["log"])


def test_a_bad_document_or_action_is_refused_alone(bench: Bench) -> None:
    future = {"message": "x", "@timestamp": "2099-01-01T00:00:00Z"}
    body = bulk({"message": "ok"}, 7, future, {"message": "x", "@timestamp": "soon"}, action="index")
    body += b'{"update":{"_id":"1"}}\n{"doc":{}}\n{"delete":{"_id":"1"}}\n{"create":{}}\nnot json\n' + bulk(
        {"msg": "ok"}
    )
    answer = bench.client.post(PATH, content=body, headers=NDJSON).json()
    assert answer["errors"] is True
    told = [(next(iter(item)), next(iter(item.values()))["status"]) for item in answer["items"]]
    assert told == [
        ("index", 201),
        ("index", 400),
        ("index", 400),
        ("index", 400),
        ("update", 400),
        ("delete", 400),
        ("create", 400),
        ("create", 201),
    ]
    assert "future" in answer["items"][2]["index"]["error"]["reason"]
    assert len(bench.rows(FrameKind.LOGS)) == 2
    assert bench.counts.total(Item.LOGS).rejected == {
        "bad_document": 2,
        "future": 1,
        "bad_time": 1,
        "unsupported_action": 2,
    }


@pytest.mark.parametrize("body", [b"{}\n{}\n", b"nonsense\n", b'{"create":{},"index":{}}\n{}\n', b"[1]\n"])
def test_a_line_that_is_no_action_refuses_the_request(bench: Bench, body: bytes) -> None:
    answer = bench.client.post(PATH, content=body, headers=NDJSON)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "illegal_argument_exception"
    assert not bench.journal.frames


def test_an_overload_is_told_in_elasticsearchs_words(bench: Bench) -> None:
    bench.journal.error = Overloaded("full")
    answer = bench.client.post(PATH, content=bulk({"message": "x"}), headers=NDJSON)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "es_rejected_execution_exception")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-01T00:00:00Z", 1767225600 * 10**9),
        ("2026-01-01 00:00:00,123", 1767225600_123 * 10**6),
        ("2026-01-01T00:00:00.123456789+00:00", 1767225600_123456789),
        ("2026-01-01 00:00:00.5 UTC", 1767225600_5 * 10**8),
        ("2026-01-01", 1767225600 * 10**9),
        (1767225600, 1767225600 * 10**9),
        (1767225600.25, 1767225600_25 * 10**7),
        (1767225600_123, 1767225600_123 * 10**6),
        ("1767225600123456", 1767225600_123456 * 10**3),
        (1767225600_123456789, 1767225600_123456789),
        (-5, 0),
    ],
)
def test_times_are_read_in_every_usual_form(value: Any, expected: int) -> None:
    assert parse_time_ns(value) == expected


@pytest.mark.parametrize("value", ["soon", "", True, [1], float("nan"), 1e300, "2026-13-01T00:00:00Z", "9" * 5000])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="neither"):
        parse_time_ns(value)


def test_a_document_without_text_or_time_is_its_own_text() -> None:
    found = document({"a": {"b": [1, None]}})
    assert (found.body, found.time_ns, found.attributes) == ('{"a":{"b":[1,null]}}', 0, {"a.b": [1, None]})
    deep: dict[str, Any] = {}
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(DecodeError, match="deeper"):
        document(deep)


def test_what_senders_ask_before_they_begin_is_answered(bench: Bench) -> None:
    asked = {
        ("GET", "/elasticsearch/"): "tagline",
        ("GET", "/elasticsearch"): "version",
        ("GET", "/elasticsearch/_license"): "license",
        ("GET", "/elasticsearch/_cluster/health"): "status",
        ("PUT", "/elasticsearch/_index_template/filebeat-8.15.0"): "acknowledged",
    }
    for (method, path), key in asked.items():
        answer = bench.client.post(path, method=method)
        assert (answer.status_code, answer.headers["x-elastic-product"]) == (200, "Elasticsearch"), path
        assert key in answer.json()
    assert bench.client.post("/elasticsearch/_index_template/x", method="HEAD").status_code == 200
    assert (
        bench.client.post("/elasticsearch/logs/_bulk", content=bulk({"message": "x"}), headers=NDJSON).status_code
        == 200
    )
    assert len(bench.rows(FrameKind.LOGS)) == 1


def test_a_captured_bulk_is_moved_in_time() -> None:
    body = bulk({"@timestamp": NOW, "message": "x"}, {"message": "y"}, {"time": 1767225600, "log": "z"}) + b"?\n"
    moved = shift(Captured(path=PATH, media="application/x-ndjson", body=body, time_ns=NOW_NS), 10**9)
    documents = [orjson.loads(line) for line in moved.body.split(b"\n")[1:6:2]]
    times = [parse_time_ns(each.get("@timestamp") or each["time"]) for each in documents]
    assert times == [NOW_NS + 10**9, NOW_NS + 10**9, 1767225601 * 10**9]
    assert moved.body.split(b"\n")[6] == b"?"
