"""OTLP log records to a batch of log lines, parsed by protobuf, walked in Python into column lists."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.otlp.message import KEPT, attributes_json, pick, text, texts
from twofold.records.columns import LOGS

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
_MAX_SEVERITY: Final = 24
_SEVERITIES: Final = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "notice": 10,
    "warn": 13,
    "warning": 13,
    "error": 17,
    "err": 17,
}
_SEVERITIES_HIGH: Final = {"critical": 18, "crit": 18, "alert": 19, "fatal": 21, "emergency": 21, "panic": 21}


def logs_of(
    request: ExportLogsServiceRequest, naming: Naming, tenant: str, now_ns: int, latest_ns: int
) -> tuple[pa.RecordBatch, Outcome]:
    """Every record as a line of schema `LOGS`, and what became of them.

    A record without a time takes the time it was observed, else `now_ns`. A malformed trace or span
    id is left out and the line kept. Records later than `latest_ns` are rejected (`future`).
    """
    columns: dict[str, list[Any]] = {name: [] for name in LOGS.names}
    rejected: Counter[str] = Counter()
    received = 0
    for resource in request.resource_logs:
        attributes = texts(resource.resource.attributes)
        entity = naming.resource(attributes, tenant=tenant)
        kept = pick(attributes, KEPT)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                received += 1
                time_ns = record.time_unix_nano or record.observed_time_unix_nano or now_ns
                if time_ns > latest_ns:
                    rejected["future"] += 1
                    continue
                columns["time_ns"].append(time_ns)
                columns["entity"].append(entity)
                _append(columns, record, kept)
    batch = pa.record_batch([pa.array(columns[field.name], field.type) for field in LOGS], schema=LOGS)
    stored = batch.num_rows
    return batch, Outcome(Item.LOGS, received, stored, rows=stored, rejected=rejected)


def _append(columns: dict[str, list[Any]], record: LogRecord, kept: dict[str, str]) -> None:
    more = kept | {"event.name": record.event_name} if record.event_name else kept
    columns["severity"].append(severity(record.severity_number, record.severity_text))
    columns["body"].append(text(record.body))
    columns["trace_id"].append(record.trace_id.hex() if len(record.trace_id) == TRACE_ID_BYTES else "")
    columns["span_id"].append(record.span_id.hex() if len(record.span_id) == SPAN_ID_BYTES else "")
    columns["attributes"].append(attributes_json(record.attributes, more)[1])


def severity(number: int, level: str) -> int:
    """OpenTelemetry SeverityNumber, from the number or, where that is unset, the level's name; 0 unknown.

    >>> severity(17, ""), severity(0, "WARNING"), severity(0, "loud"), severity(99, "")
    (17, 13, 0, 0)
    """
    if 0 < number <= _MAX_SEVERITY:
        return number
    word = level.strip().lower()
    return _SEVERITIES.get(word) or _SEVERITIES_HIGH.get(word, 0)
