"""OTLP log records to a batch of log lines: the validated way, walked in Python, and the short way, compiled."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.logs.severity import MAX_SEVERITY, severity
from twofold.aiops.ingest.otlp.message import KEPT, attributes_json, pick, text, texts
from twofold.aiops.ingest.otlp.short import (
    FEW,
    MAX_BYTES,
    Ints,
    Kernels,
    Resources,
    Short,
    TextColumn,
    coded,
    fits,
    nested,
)
from twofold.records.columns import LOGS

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
_BYTES_PER_LINE: Final = 16  # hardly a real record is shorter; a request of many that are takes the validated way


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
    columns["severity"].append(severity(record.severity_number, record.severity_text))
    columns["body"].append(text(record.body))
    columns["trace_id"].append(record.trace_id.hex() if len(record.trace_id) == TRACE_ID_BYTES else "")
    columns["span_id"].append(record.span_id.hex() if len(record.span_id) == SPAN_ID_BYTES else "")
    columns["attributes"].append(_attributes(record, kept))


def _attributes(record: LogRecord, kept: dict[str, str]) -> str:
    more = kept | {"event.name": record.event_name} if record.event_name else kept
    return attributes_json(record.attributes, more)[1]


class ShortLogs(Short):
    """The short way: gives what `logs_of` gives, or None.

    >>> ShortLogs(naming=None).decode(b"", "main", 0, 0) is None  # type: ignore[arg-type]  # cold
    True
    """

    walker: ClassVar[str] = "logs"
    reserved: ClassVar[tuple[str, ...]] = (*KEPT, "event.name")

    def __init__(self, naming: Naming) -> None:
        super().__init__()
        self._resources = Resources(naming, _resource)

    def decode(self, body: bytes, tenant: str, now_ns: int, latest_ns: int) -> tuple[pa.RecordBatch, Outcome] | None:
        """Lines of a request; None when kernels are cold or the validated way must decide."""
        if self.kernels is None or len(body) > MAX_BYTES:
            return None
        return self._decode(self.kernels, body, tenant, now_ns, latest_ns)

    def warm_up(self, kernels: Kernels) -> None:
        """Decode a request without a line."""
        self._decode(kernels, b"", "", 0, 0)

    def _decode(
        self, kernels: Kernels, body: bytes, tenant: str, now_ns: int, latest_ns: int
    ) -> tuple[pa.RecordBatch, Outcome] | None:
        padded = kernels.padded(body)
        room = len(body) // _BYTES_PER_LINE + FEW
        rows, resources = np.empty((room, kernels.row), np.int64), np.empty((room, 2), np.int64)
        doubles = np.empty(len(body) // 9 + 1)
        state = kernels.state(doubles)
        count, senders, late = kernels.walk(
            padded.ctypes.data,
            len(body),
            np.uint64(now_ns),
            np.uint64(latest_ns),
            rows.ctypes.data,
            resources.ctypes.data,
            room,
            state.ctypes.data,
        )
        if count < 0:
            return None
        rows = rows[:count]
        try:
            known = [self._resources.get(tenant, body[first:last]) for first, last in resources[:senders].tolist()]
            sides = _sides(kernels, body, rows, [kept for _, kept, _ in known])
        except ProtobufError:
            return None
        prefixes, prefix_bytes = kernels.addresses([members for _, _, members in known])
        tokens = kernels.tokens(state, doubles)
        side, side_bytes = kernels.addresses(sides)
        resource = rows[:, kernels.module.RESOURCE]
        body_bytes = int((rows[:, kernels.module.BODY_END] - rows[:, kernels.module.BODY]).sum()) + len(side_bytes)
        members = (prefixes[1::2] - prefixes[::2])[resource].sum()
        json_bytes = kernels.count(state, "JSON_BYTES") + int(members) + 2 * count + len(tokens) + len(side_bytes)
        if not fits(body_bytes, json_bytes, 32 * count):
            return None
        time_ns, level, code = np.empty(count, np.int64), np.empty(count, np.int8), np.empty(count, np.int32)
        sizes = (body_bytes, 32 * count, 16 * count, json_bytes)
        made = [TextColumn(count, size, kernels.padding) for size in sizes]
        places = [time_ns, level, code, *(array for column in made for array in (column.offsets, column.data))]
        columns = np.array([array.ctypes.data for array in places], np.int64)
        kernels.render(
            padded.ctypes.data,
            rows.ctypes.data,
            count,
            prefixes.ctypes.data,
            tokens.ctypes.data,
            side.ctypes.data,
            columns.ctypes.data,
        )
        _name_levels(kernels, body, rows, level)
        entity = coded([entity for entity, _, _ in known], code)
        arrays = [pa.array(time_ns), entity, pa.array(level), *(column.array() for column in made)]
        del prefix_bytes
        rejected = Counter(future=late) if late else Counter[str]()
        outcome = Outcome(Item.LOGS, count + late, count, rows=count, rejected=rejected)
        return pa.RecordBatch.from_arrays(arrays, schema=LOGS), outcome


def _resource(data: bytes) -> Any:
    request = ExportLogsServiceRequest.FromString(nested(10, [nested(10, [data])]))
    return request.resource_logs[0].resource


def _sides(kernels: Kernels, body: bytes, rows: Ints, kept: list[dict[str, str]]) -> list[bytes]:
    """Body and attributes of each slow row, through protobuf. Raises its error."""
    module = kernels.module
    slow = rows[rows[:, module.SLOW_ROW] >= 0]
    if not len(slow):
        return []
    parts = [body[first:last] for first, last in slow[:, [module.RECORD, module.RECORD_END]].tolist()]
    request = ExportLogsServiceRequest.FromString(nested(10, [nested(18, [nested(18, parts)])]))
    found: list[bytes] = []
    records = request.resource_logs[0].scope_logs[0].log_records
    for record, resource in zip(records, slow[:, module.RESOURCE].tolist(), strict=True):
        found += [text(record.body).encode(), _attributes(record, kept[resource]).encode()]
    return found


def _name_levels(kernels: Kernels, body: bytes, rows: Ints, level: Any) -> None:
    """Severities of rows without a known number, from the level's name."""
    module = kernels.module
    number = rows[:, module.SEVERITY]
    odd = np.flatnonzero((number < 1) | (number > MAX_SEVERITY))
    names: dict[bytes, int] = {}
    for at, first, last in zip(odd.tolist(), *rows[odd][:, [module.LEVEL, module.LEVEL_END]].T.tolist(), strict=True):
        name = body[first:last]
        if name not in names:
            names[name] = severity(0, name.decode())
        level[at] = names[name]
