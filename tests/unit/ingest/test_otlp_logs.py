"""OTLP log records become log lines."""

from __future__ import annotations

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from tests.unit.ingest.messages import any_value, logs_request
from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.counts import Item
from twofold.records.frame import FrameKind


def send(bench: Bench, request: ExportLogsServiceRequest) -> ExportLogsServiceResponse:
    headers = {"content-type": "application/x-protobuf"}
    answer = bench.client.post("/v1/logs", content=request.SerializeToString(), headers=headers)
    assert answer.status_code == 200
    return ExportLogsServiceResponse.FromString(answer.content)


def test_a_line_keeps_body_severity_trace_and_attributes(bench: Bench) -> None:
    request = logs_request("card declined", severity=17, resource={"host.name": "h1", "process.pid": 9})
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.trace_id, record.span_id = b"\xab" * 16, b"\xcd" * 8
    record.attributes.add(key="amount", value=any_value(12.5))
    send(bench, request)
    (row,) = bench.rows(FrameKind.LOGS)
    attributes = orjson.loads(row.pop("attributes"))
    assert row == {
        "time_ns": NOW_NS,
        "entity": "service:cart",
        "severity": 17,
        "body": "card declined",
        "trace_id": "ab" * 16,
        "span_id": "cd" * 8,
    }
    assert attributes == {"host.name": "h1", "amount": 12.5}


def test_time_falls_back_to_observed_then_to_now(bench: Bench) -> None:
    request = logs_request("a", "b", time_ns=0)
    request.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = NOW_NS - 5
    send(bench, request)
    assert [row["time_ns"] for row in bench.rows(FrameKind.LOGS)] == [NOW_NS - 5, NOW_NS]


def test_severity_is_looked_for_in_the_line_when_the_record_tells_none(bench: Bench) -> None:
    request = logs_request('{"level":"warn"}', "level=error no", "2026-01-01 FATAL x", "an error", severity=0)
    send(bench, request)
    assert [row["severity"] for row in bench.rows(FrameKind.LOGS)] == [13, 17, 21, 0]


def test_severity_comes_from_the_text_when_the_number_is_missing(bench: Bench) -> None:
    request = logs_request("a", severity=0)
    request.resource_logs[0].scope_logs[0].log_records[0].severity_text = "ERROR"
    send(bench, request)
    assert bench.rows(FrameKind.LOGS)[0]["severity"] == 17


def test_a_structured_body_is_json(bench: Bench) -> None:
    request = logs_request("")
    body = request.resource_logs[0].scope_logs[0].log_records[0].body
    body.kvlist_value.values.add(key="k", value=any_value(1))
    send(bench, request)
    assert bench.rows(FrameKind.LOGS)[0]["body"] == '{"k":1}'


def test_a_malformed_trace_id_is_left_out_and_the_line_kept(bench: Bench) -> None:
    request = logs_request("a")
    request.resource_logs[0].scope_logs[0].log_records[0].trace_id = b"\x01\x02"
    send(bench, request)
    assert bench.rows(FrameKind.LOGS)[0]["trace_id"] == ""


def test_lines_of_the_future_are_rejected_with_their_number(bench: Bench) -> None:
    answer = send(bench, logs_request("a", "b", time_ns=NOW_NS + 3600 * 10**9))
    assert answer.partial_success.rejected_log_records == 2
    assert bench.counts.total(Item.LOGS).rejected == {"future": 2}


def test_json_ids_are_hexadecimal(bench: Bench) -> None:
    body = {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": str(NOW_NS),
                                "severityNumber": 9,
                                "body": {"stringValue": "hi"},
                                "traceId": "5B8EFFF798038103D269B633813FC60C",
                                "spanId": "EEE19B7EC3C1B174",
                                "unknownField": {"ignored": 1},
                            }
                        ]
                    }
                ],
            }
        ]
    }
    answer = bench.client.post("/v1/logs", json=body)
    assert (answer.status_code, answer.json()) == (200, {})
    (row,) = bench.rows(FrameKind.LOGS)
    assert (row["trace_id"], row["span_id"]) == ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174")
