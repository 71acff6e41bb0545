"""OTLP as JSON: hexadecimal ids, int64 as text, enums by number or name, unknown fields ignored; all three signals.

The bodies are written by hand after the OTLP specification, section "JSON Protobuf Encoding": none of them went
through the library that reads them.
"""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.counts import Item
from twofold.records.frame import FrameKind

TRACE_ID, SPAN_ID, PARENT_ID = "5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174", "eee19b7ec3c1b173"
RESOURCE = {
    "attributes": [
        {"key": "service.name", "value": {"stringValue": "cart"}},
        {"key": "not.kept", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": True}}]}}},
    ],
    "droppedAttributesCount": 1,
    "entityRefs": [{"type": "service", "idKeys": ["service.name"], "someday": {"new": 1}}],
}
SCOPE = {"name": "lib", "version": "1.0.0", "attributes": []}


def post(bench: Bench, path: str, body: Any, media: str = "application/json") -> httpx.Response:
    return bench.client.post(path, content=orjson.dumps(body), headers={"content-type": media})


def metrics_body(*metrics: dict[str, Any]) -> dict[str, Any]:
    scope = {"scope": SCOPE, "metrics": list(metrics), "schemaUrl": "https://opentelemetry.io/schemas/1.27.0"}
    return {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [scope]}], "unknownField": [1, {"x": None}]}


def values(bench: Bench) -> dict[tuple[str, str | None], float]:
    return {(name, dict(labels).get("le")): points[0][1] for (name, labels), points in bench.samples().items()}


@pytest.mark.parametrize("value", [{"asInt": "9007199254740993"}, {"asInt": 9007199254740993}])
@pytest.mark.parametrize("time", [str(NOW_NS), NOW_NS])
@pytest.mark.parametrize("temporality", [2, "AGGREGATION_TEMPORALITY_CUMULATIVE"])
def test_sums_with_numbers_as_text_or_as_numbers(
    bench: Bench, value: dict[str, Any], time: str | int, temporality: int | str
) -> None:
    point = {"attributes": [], "startTimeUnixNano": "0", "timeUnixNano": time, "flags": 0} | value
    data = {"dataPoints": [point], "aggregationTemporality": temporality, "isMonotonic": True}
    answer = post(bench, "/v1/metrics", metrics_body({"name": "orders", "unit": "1", "sum": data}))
    assert (answer.status_code, answer.json()) == (200, {})
    (series,) = bench.rows(FrameKind.SERIES)
    assert (series["metric"], series["kind"], series["entity"]) == ("orders", "counter", "service:cart")
    assert bench.samples() == {
        ("orders", (("otel.scope.name", "lib"), ("service.name", "cart"))): [(NOW_NS, 9007199254740992.0)]
    }


def test_every_kind_of_metric(bench: Bench) -> None:
    time = {"timeUnixNano": str(NOW_NS)}
    histogram = {"count": "3", "sum": 4.5, "bucketCounts": ["1", 2], "explicitBounds": [0.5], "min": 0.1, "max": "3"}
    exponential = {
        "count": "4",
        "sum": 6,
        "scale": 0,
        "zeroCount": "1",
        "positive": {"offset": 0, "bucketCounts": ["1", "2"]},
        "negative": {},
        "zeroThreshold": 0.0,
    }
    summary = {"count": 2, "sum": "NaN", "quantileValues": [{"quantile": 0.5, "value": 1.5}]}
    body = metrics_body(
        {"name": "g", "gauge": {"dataPoints": [time | {"asDouble": "Infinity"}, time | {"asDouble": 1.5}]}},
        {"name": "h", "histogram": {"dataPoints": [time | histogram], "aggregationTemporality": 1}},
        {"name": "e", "exponentialHistogram": {"dataPoints": [time | exponential], "aggregationTemporality": 2}},
        {"name": "s", "summary": {"dataPoints": [time | summary | {"sum": 2.0}]}},
        {"name": "none"},
    )
    assert post(bench, "/v1/metrics", body).json() == {}
    assert values(bench) == {
        ("g", None): 1.5,
        ("h.count", None): 3.0,
        ("h.sum", None): 4.5,
        ("h.bucket", "0.5"): 1.0,
        ("e.count", None): 4.0,
        ("e.sum", None): 6.0,
        ("e.bucket", "0"): 1.0,
        ("e.bucket", "2"): 2.0,
        ("e.bucket", "4"): 4.0,
        ("s.count", None): 2.0,
        ("s.sum", None): 2.0,
        ("s", None): 1.5,
    }
    assert bench.counts.total(Item.POINTS).dropped == {"not_finite": 1}
    kinds = {series["metric"]: series["kind"] for series in bench.rows(FrameKind.SERIES)}
    assert (kinds["h.count"], kinds["e.count"]) == ("delta", "counter")


def test_exemplars_carry_hexadecimal_ids(bench: Bench) -> None:
    exemplar = {"timeUnixNano": str(NOW_NS), "asDouble": 0.25, "spanId": SPAN_ID, "traceId": TRACE_ID}
    point = {"timeUnixNano": str(NOW_NS), "count": 1, "sum": 0.25, "exemplars": [exemplar]}
    data = {"dataPoints": [point], "aggregationTemporality": 2}
    post(bench, "/v1/metrics", metrics_body({"name": "took", "unit": "s", "histogram": data}))
    (found,) = bench.rows(FrameKind.EXEMPLARS)
    assert (found["trace_id"], found["duration_ns"]) == (TRACE_ID.lower(), 250_000_000)


def log_body(**record: Any) -> dict[str, Any]:
    scope = {"scope": SCOPE, "logRecords": [{"timeUnixNano": str(NOW_NS)} | record]}
    return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [scope]}]}


@pytest.mark.parametrize("severity", [10, "SEVERITY_NUMBER_INFO2"])
def test_log_records(bench: Bench, severity: int | str) -> None:
    body = log_body(
        observedTimeUnixNano=str(NOW_NS + 1),
        severityNumber=severity,
        severityText="Information",
        traceId=TRACE_ID,
        spanId=SPAN_ID,
        flags=1,
        body={"stringValue": "Example log record"},
        attributes=[
            {"key": "int", "value": {"intValue": "9223372036854775807"}},
            {"key": "double", "value": {"doubleValue": 637.704}},
            {"key": "bytes", "value": {"bytesValue": "aGk="}},
            {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "many"}, {"intValue": 5}]}}},
            {"key": "none", "value": {}},
        ],
        notYetInvented="x",
    )
    assert post(bench, "/v1/logs", body, "application/json; charset=utf-8").json() == {}
    (line,) = bench.rows(FrameKind.LOGS)
    assert (line["body"], line["severity"], line["entity"]) == ("Example log record", 10, "service:cart")
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID.lower(), SPAN_ID.lower())
    attributes = orjson.loads(line["attributes"])
    assert attributes["int"] == 9223372036854775807
    assert (attributes["double"], attributes["bytes"], attributes["list"]) == (637.704, "aGk=", ["many", 5])


def span_body(**span: Any) -> dict[str, Any]:
    base = {"traceId": TRACE_ID, "spanId": SPAN_ID, "parentSpanId": PARENT_ID, "name": "GET /"}
    times = {"startTimeUnixNano": str(NOW_NS), "endTimeUnixNano": str(NOW_NS + 5)}
    scope = {"scope": SCOPE, "spans": [base | times | span]}
    return {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [scope]}]}


@pytest.mark.parametrize(("kind", "code"), [(2, 2), ("SPAN_KIND_SERVER", "STATUS_CODE_ERROR")])
def test_spans(bench: Bench, kind: int | str, code: int | str) -> None:
    link = {"traceId": TRACE_ID, "spanId": PARENT_ID, "attributes": []}
    event = {"timeUnixNano": str(NOW_NS), "name": "exception", "attributes": []}
    body = span_body(kind=kind, status={"code": code, "message": "no"}, links=[link], events=[event], traceState="")
    assert post(bench, "/v1/traces", body).json() == {}
    (span,) = bench.rows(FrameKind.SPANS)
    ids = (span["trace_id"], span["span_id"], span["parent_id"])
    assert ids == (TRACE_ID.lower(), SPAN_ID.lower(), PARENT_ID)
    assert (span["name"], span["kind"], span["error"], span["duration_ns"]) == ("GET /", 2, True, 5)


def test_unknown_enums_are_as_if_unset(bench: Bench) -> None:
    assert post(bench, "/v1/traces", span_body(kind="SPAN_KIND_NEXT_YEARS")).status_code == 200
    assert post(bench, "/v1/traces", span_body(kind=77)).status_code == 200
    assert [span["kind"] for span in bench.rows(FrameKind.SPANS)] == [0, 0]


@pytest.mark.parametrize("names", [("trace_id", "span_id"), ("traceId", "spanId")])
def test_names_with_underscores_mean_the_same(bench: Bench, names: tuple[str, str]) -> None:
    scope = {"spans": [{names[0]: TRACE_ID, names[1]: SPAN_ID, "name": "x", "startTimeUnixNano": NOW_NS}]}
    assert post(bench, "/v1/traces", {"resourceSpans": [{"scopeSpans": [scope]}]}).json() == {}
    assert [span["trace_id"] for span in bench.rows(FrameKind.SPANS)] == [TRACE_ID.lower()]


def test_an_id_of_the_wrong_length_is_rejected_by_reason_and_one_that_is_no_hexadecimal_spoils_the_body(
    bench: Bench,
) -> None:
    answer = post(bench, "/v1/traces", span_body(traceId="abcd"))
    assert answer.json()["partialSuccess"] == {
        "rejectedSpans": "1",
        "errorMessage": "1 of 1 spans rejected: bad_id 1",
    }
    answer = post(bench, "/v1/traces", span_body(traceId="zz" * 16))
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    assert "not hexadecimal" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
@pytest.mark.parametrize("shape", [[], "x", 1, None, {"resource{}": 5}, {"resource{}": [[]]}, {"resource{}": {}}])
def test_another_shape_is_400_and_not_taken_for_empty(bench: Bench, path: str, shape: Any) -> None:
    name = {"/v1/traces": "Spans", "/v1/metrics": "Metrics", "/v1/logs": "Logs"}[path]
    body = {key.format(name): value for key, value in shape.items()} if isinstance(shape, dict) else shape
    answer = post(bench, path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


def test_a_list_of_requests_is_not_taken_for_an_empty_one(bench: Bench) -> None:
    answer = post(bench, "/v1/traces", [span_body()])
    assert answer.json()["message"].endswith("ExportTraceServiceRequest is a list, must be an object")


def test_nulls_and_missing_parts_are_empty(bench: Bench) -> None:
    for path, body in (
        ("/v1/traces", {"resourceSpans": None}),
        ("/v1/metrics", {"resourceMetrics": [{"resource": None, "scopeMetrics": [{"metrics": None}]}]}),
        ("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": []}]}]}),
        ("/v1/logs", {}),
    ):
        assert post(bench, path, body).json() == {}
    assert bench.journal.frames == []
