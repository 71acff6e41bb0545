"""Prometheus remote write 2.0: strings stand once in a table of symbols, and series refer to it.

Samples and histograms make rows as in version 1.0, by the type that each series carries. The answer
says how many of each were written: accepted, be it that a NaN holds nothing to keep. When
some are rejected the others are stored, and the answer is 400 with the reasons.

Source: Prometheus remote write 2.0 specification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError as ProtobufError
from starlette.responses import PlainTextResponse, Response

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.entities import labels_entity
from twofold.aiops.ingest.exemplars import Exemplars, operation_of
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.known import ROW_BYTES, Known, Walked
from twofold.aiops.ingest.prometheus.message import TYPES, Request2, kind_of, trace_of, ucum, unit_of
from twofold.aiops.ingest.prometheus.native import parts_of
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.rows import RowList, Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.aiops.ingest.starts import Beginnings, Starts
from twofold.errors import DecodeError
from twofold.records.series import SeriesKind

NAME: Final = "__name__"
MEDIA: Final = "application/x-protobuf;proto=io.prometheus.write.v2.request"
WRITTEN: Final = "x-prometheus-remote-write-{}-written"
MILLISECOND_NS: Final = 1_000_000
_MS_LIMIT: Final = (1 << 63) // MILLISECOND_NS - 1


class Decoded(NamedTuple):
    """What one request holds. Histograms stand apart, because the answer counts them apart."""

    samples: Rows
    histograms: Rows | None


class Version2:
    """Takes requests of version 2."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._starts = Starts()
        self.known = Known("write2")

    def receive(self, payload: Payload) -> Response:
        """Store samples, histograms and exemplars."""
        intake, origin = self._intake, payload.origin
        begun = self._starts.request(origin.tenant, intake.oldest_ns(origin))
        exemplars = Exemplars(origin.tenant, intake.latest_ns(origin))
        found = self.decode(payload.body, origin.tenant, exemplars, begun)
        samples = intake.samples(found.samples, origin, exemplars)
        histograms = Outcome(Item.POINTS) if found.histograms is None else intake.samples(found.histograms, origin)
        begun.keep()
        outcomes = (samples, histograms, exemplars.outcome)
        headers = written(*(each.received - each.rejected.total() for each in outcomes))
        if text := "; ".join(filter(None, (each.text() for each in outcomes))):
            return PlainTextResponse(text, 400, headers)
        return Response(status_code=204, headers=headers)

    def decode(self, body: bytes, tenant: str, exemplars: Exemplars, begun: Beginnings | None = None) -> Decoded:
        """The request, the short way when all its series are known. Raises `DecodeError`."""
        walked = self.known.walk(body)
        rows = None if walked is None else self.known.rows(walked, tenant)
        if walked is not None and rows is not None:
            pointed(walked, body, exemplars)
            return Decoded(rows, None)
        with self._intake.index.turns.turn(tenant):
            found = decoded(parse(body), self._intake.index, tenant, exemplars, begun)
        if walked is not None and found.histograms is None:
            self.known.learn(walked, found.samples, tenant)
        return found


def written(samples: int, histograms: int, exemplars: int) -> dict[str, str]:
    """The headers that say how many were written."""
    counts = {"samples": samples, "histograms": histograms, "exemplars": exemplars}
    return {WRITTEN.format(name): str(count) for name, count in counts.items()}


def parse(body: bytes) -> Any:
    """The request. Raises `DecodeError`."""
    request = Request2()
    try:
        request.ParseFromString(body)
    except ProtobufError as error:
        raise DecodeError(f"body is not an io.prometheus.write.v2.Request: {error}", reason="decode") from error
    return request


def decoded(
    request: Any, index: SeriesIndex, tenant: str, exemplars: Exemplars, begun: Beginnings | None = None
) -> Decoded:
    """Every sample and histogram as rows, in the order of the request; new series are registered."""
    symbols = _Symbols(request.symbols)
    reading = _Reading(index, tenant, begun)
    for series in request.timeseries:
        try:
            of = symbols.described(series)
        except DecodeError as error:
            reading.refuse(series, error.reason)
            exemplars.refuse(error.reason, len(series.exemplars))
        else:
            reading.add(series, of)
            symbols.exemplars(series, of, exemplars)
    return reading.decoded()


class _Described(NamedTuple):
    """What a series says of itself. The unit is that of its samples, `measure` of what its histogram measures."""

    metric: str
    labels: Mapping[str, str]
    entity: str
    type_name: str
    unit: str
    measure: str


class _Symbols:
    """The strings of a request, by number."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = list(symbols)

    def labels(self, refs: Sequence[int]) -> dict[str, str]:
        """Labels with a value. Raises `DecodeError` (`bad_labels`, `bad_symbol`)."""
        texts = [self._text(ref) for ref in refs]
        names = texts[::2]
        if len(texts) % 2 or len(set(names)) != len(names):
            raise DecodeError("labels are no pairs, or repeat a name", reason="bad_labels")
        return {name: value for name, value in zip(names, texts[1::2], strict=True) if value}

    def described(self, series: Any) -> _Described:
        """Labels, type and unit. Raises `DecodeError` (`bad_labels`, `bad_symbol`)."""
        labels = self.labels(series.labels_refs)
        metric = labels.pop(NAME, "")
        if not metric:
            raise DecodeError("a series without a name", reason="bad_labels")
        number, unit = 0, ""
        for metadata in series.metadata:
            number, unit = metadata.type, self._text(metadata.unit_ref) if metadata.unit_ref else ""
            self._text(metadata.help_ref or 0)
        type_name = TYPES[number] if 0 < number < len(TYPES) else ""
        told = ucum(unit)
        measure = unit_of(operation_of(metric)) or told
        return _Described(metric, labels, labels_entity(labels), type_name, unit_of(metric) or told, measure)

    def exemplars(self, series: Any, of: _Described, found: Exemplars) -> None:
        """Those of one series."""
        for each in series.exemplars:
            try:
                trace_id = trace_of(self.labels(each.labels_refs))
            except DecodeError as error:
                found.refuse(error.reason)
                continue
            time_ns = min(each.timestamp, _MS_LIMIT) * MILLISECOND_NS
            found.add(trace_id, of.entity, of.metric, of.measure, each.value, time_ns)

    def _text(self, ref: int) -> str:
        if ref >= len(self._symbols):
            raise DecodeError(f"reference {ref} is past the {len(self._symbols)} symbols", reason="bad_symbol")
        return self._symbols[ref]


class _Reading:
    """Makes rows of the series of one request."""

    def __init__(self, index: SeriesIndex, tenant: str, begun: Beginnings | None) -> None:
        self._index = index
        self._tenant = tenant
        self._begun = begun
        self._samples, self._histograms = RowList(), RowList()

    def decoded(self) -> Decoded:
        """Everything so far."""
        histograms = self._histograms.rows()
        some = histograms.points or histograms.rejected
        return Decoded(self._samples.rows(), histograms if some else None)

    def refuse(self, series: Any, reason: str) -> None:
        """Count what a series holds, for none of it makes rows."""
        for rows, points in ((self._samples, series.samples), (self._histograms, series.histograms)):
            if points:
                rows.refuse(reason, len(points))

    def add(self, series: Any, of: _Described) -> None:
        """The samples and histograms of one series."""
        if series.samples:
            kind = kind_of(of.metric, of.type_name)
            sid = self._sid(of, of.metric, of.labels, of.unit, kind)
            for sample in series.samples:
                self._row(self._samples, sid, kind, sample, series, sample.value)
                self._samples.next_point()
        for histogram in series.histograms:
            try:
                parts = parts_of(histogram, of.metric, of.labels, of.type_name, of.unit)
            except DecodeError as error:
                self._histograms.refuse(error.reason)
                continue
            for part in parts:
                sid = self._sid(of, part.metric, part.labels, part.unit, part.kind)
                self._row(self._histograms, sid, part.kind, histogram, series, part.value)
            self._histograms.next_point()

    def _sid(self, of: _Described, metric: str, labels: Mapping[str, str], unit: str, kind: SeriesKind) -> int:
        return self._index.resolve(metric, labels, entity=of.entity, tenant=self._tenant, unit=unit, kind=kind)

    def _row(self, rows: RowList, sid: int, kind: SeriesKind, point: Any, series: Any, value: float) -> None:
        time_ns = min(point.timestamp, _MS_LIMIT) * MILLISECOND_NS
        start_ns = (point.start_timestamp or series.created_timestamp) * MILLISECOND_NS
        if kind is SeriesKind.COUNTER and self._begun is not None and self._begun.is_new(sid, start_ns, time_ns):
            rows.add(sid, start_ns, 0.0)
        rows.add(sid, time_ns, value)


def pointed(walked: Walked, body: bytes, found: Exemplars) -> None:
    """The exemplars of a request that went the short way; the walker marks the series that have any."""
    marks = walked.rows[: walked.count * ROW_BYTES].view(np.int64)[3::4] >> 32
    marked = marks[(marks & 1).astype(bool)] >> 1
    if len(marked):
        symbols = _Symbols(parse(body[: int(marks[0]) >> 1]).symbols)
        for start in marked.tolist():
            series = parse(body[start : _end(body, start + 1)]).timeseries[0]
            symbols.exemplars(series, symbols.described(series), found)


def _end(body: bytes, at: int) -> int:
    """End of the length-delimited field whose length stands at `at`; the walker has checked it."""
    size = shift = 0
    while True:
        byte = body[at]
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint
            return at + size
