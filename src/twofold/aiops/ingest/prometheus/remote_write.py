"""Prometheus remote write: snappy block, protobuf, milliseconds. Version 1.0; 2.0 is in `remote_write2`.

The protocol knows no partial success: when samples are rejected the others are stored and the
answer is 400, which Prometheus logs and does not send again; 429 and 503 it sends again.

Source: Prometheus remote write 1.0 specification.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from google.protobuf.message import DecodeError as ProtobufError
from starlette.responses import PlainTextResponse, Response

from twofold.aiops.ingest.entities import labels_entity
from twofold.aiops.ingest.exemplars import Exemplars, Glances, operation_of
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.known import Known
from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.prometheus import remote_write2
from twofold.aiops.ingest.prometheus.message import TYPES, WriteRequest, family_of, kind_of, trace_of, unit_of
from twofold.aiops.ingest.prometheus.native import parts_of
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.rows import RowList, Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.aiops.ingest.status import retry_headers, status_of
from twofold.errors import DecodeError, TwofoldError

NAME: Final = "__name__"
MILLISECOND_NS: Final = 1_000_000
FAMILY_LIMIT: Final = 100_000  # types remembered a tenant
_TRACE: Final = b"trace"  # without it no exemplar names one
_MS_LIMIT: Final = (1 << 63) // MILLISECOND_NS - 1


class RemoteWrite:
    """`POST /api/v1/write`.

    Takes both versions of the protocol, told apart by the message that the content type names.
    """

    name: ClassVar[str] = "remote_write"
    path: ClassVar[str] = "/api/v1/write"
    media: ClassVar[tuple[str, ...]] = (PROTOBUF, remote_write2.MEDIA)
    encoding: ClassVar[str] = "snappy"

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.known = Known("write")
        self.version2 = remote_write2.Version2(intake)
        self._types: dict[str, dict[str, str]] = {}
        self._glances = Glances()

    def receive(self, payload: Payload) -> Response:
        """Store the samples."""
        if payload.media == remote_write2.MEDIA:
            return self.version2.receive(payload)
        exemplars = self._glances.take(lambda: self._exemplars(payload))
        tenant = payload.origin.tenant
        rows = self.known.decode(payload.body, tenant, lambda: self._validated(payload.body, tenant))
        outcome = self._intake.samples(rows, payload.origin, exemplars)
        if text := outcome.text():
            return PlainTextResponse(text, 400)
        return Response(status_code=204)

    def _exemplars(self, payload: Payload) -> Exemplars | None:
        if _TRACE not in payload.body:
            return None
        origin = payload.origin
        return exemplars_of(parse(payload.body), origin.tenant, self._intake.latest_ns(origin))

    def _validated(self, body: bytes, tenant: str) -> Rows:
        with self._intake.index.turns.turn(tenant):
            request = parse(body)
            types = self._types.setdefault(tenant, {})
            for each in request.metadata:
                if each.metric_family_name in types or len(types) < FAMILY_LIMIT:
                    types[each.metric_family_name] = TYPES[each.type] if 0 <= each.type < len(TYPES) else ""
            return rows_of(request, self._intake.index, types, tenant)

    def refuse(self, error: TwofoldError, media: str) -> Response:
        """Plain text, as Prometheus writes it into its log."""
        headers = retry_headers(error)
        if media == remote_write2.MEDIA:
            headers |= remote_write2.written(0, 0, 0)
        return PlainTextResponse(error.message, status_of(error), headers)


def parse(body: bytes) -> Any:
    """The write request. Raises `DecodeError`."""
    request = WriteRequest()
    try:
        request.ParseFromString(body)
    except ProtobufError as error:
        raise DecodeError(f"body is not a prometheus.WriteRequest: {error}", reason="decode") from error
    return request


def rows_of(request: Any, index: SeriesIndex, types: dict[str, str], tenant: str) -> Rows:
    """Every sample as a row, in the order of the request; new series are registered."""
    found = RowList()
    for series in request.timeseries:
        labels = {each.name: each.value for each in series.labels if each.value}
        metric = labels.pop(NAME, "")
        if not metric or len({each.name for each in series.labels}) != len(series.labels):
            found.refuse("bad_labels", len(series.samples) + len(series.histograms))
            continue
        entity = labels_entity(labels)
        if series.samples:
            kind = kind_of(metric, family_of(metric, types))
            sid = index.resolve(metric, labels, entity=entity, tenant=tenant, unit=unit_of(metric), kind=kind)
            for sample in series.samples:
                found.add(sid, min(sample.timestamp, _MS_LIMIT) * MILLISECOND_NS, sample.value)
                found.next_point()
        for histogram in series.histograms:
            try:
                parts = parts_of(histogram, metric, labels, family_of(metric, types), unit_of(metric))
            except DecodeError as error:
                found.refuse(error.reason)
                continue
            for part in parts:
                sid = index.resolve(
                    part.metric, part.labels, entity=entity, tenant=tenant, unit=part.unit, kind=part.kind
                )
                found.add(sid, min(histogram.timestamp, _MS_LIMIT) * MILLISECOND_NS, part.value)
            found.next_point()
    found.rejected = +found.rejected
    return found.rows()


def exemplars_of(request: Any, tenant: str, latest_ns: int) -> Exemplars:
    """Every exemplar of the request."""
    found = Exemplars(tenant, latest_ns)
    for series in request.timeseries:
        if series.exemplars:
            labels = {each.name: each.value for each in series.labels}
            entity, metric = labels_entity(labels), labels.get(NAME, "")
            unit = unit_of(operation_of(metric))
            for each in series.exemplars:
                trace_id = trace_of({label.name: label.value for label in each.labels})
                time_ns = min(each.timestamp, _MS_LIMIT) * MILLISECOND_NS
                found.add(trace_id, entity, metric, unit, each.value, time_ns)
    return found
