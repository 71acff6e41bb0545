"""Prometheus remote write 2.0: strings stand once in a table of symbols, and series refer to it.

Samples and histograms make rows as in version 1.0, by the type that each series carries. The answer
says how many of each were written: accepted, be it that a stale marker holds nothing to keep. When
some are rejected the others are stored, and the answer is 400 with the reasons.

Source: Prometheus remote write 2.0 specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError as ProtobufError
from starlette.responses import PlainTextResponse, Response

from twofold.aiops.ingest.counts import Outcome
from twofold.aiops.ingest.entities import labels_entity
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.known import Known
from twofold.aiops.ingest.prometheus.message import TYPES, Request2, kind_of, ucum, unit_of
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


@dataclass(slots=True)
class Decoded:
    """What one request holds. Histograms stand apart, because the answer counts them apart."""

    samples: Rows
    histograms: Rows | None = None


class Version2:
    """Takes requests of version 2."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._starts = Starts()
        self.known = Known("write2")

    def receive(self, payload: Payload) -> Response:
        """Store samples and histograms."""
        origin = payload.origin
        begun = self._starts.request(origin.tenant)
        found = self._decoded(payload.body, origin.tenant, begun)
        samples = self._intake.samples(found.samples, origin)
        histograms = self._intake.samples(found.histograms, origin) if found.histograms is not None else None
        begun.keep()
        headers = written(_accepted(samples), _accepted(histograms) if histograms is not None else 0, 0)
        texts = [outcome.text() for outcome in (samples, histograms) if outcome is not None]
        if text := "; ".join(filter(None, texts)):
            return PlainTextResponse(text, 400, headers)
        return Response(status_code=204, headers=headers)

    def _decoded(self, body: bytes, tenant: str, begun: Beginnings) -> Decoded:
        walked = self.known.walk(body)
        rows = None if walked is None else self.known.rows(walked, tenant)
        if rows is not None:
            return Decoded(rows)
        found = decoded(parse(body), self._intake.index, tenant, begun)
        if walked is not None and found.histograms is None:
            self.known.learn(walked, found.samples, tenant)
        return found


def written(samples: int, histograms: int, exemplars: int) -> dict[str, str]:
    """The headers that say how many were written."""
    counts = {"samples": samples, "histograms": histograms, "exemplars": exemplars}
    return {WRITTEN.format(name): str(count) for name, count in counts.items()}


def _accepted(outcome: Outcome) -> int:
    return outcome.received - outcome.rejected.total()


def parse(body: bytes) -> Any:
    """The request. Raises `DecodeError`."""
    request = Request2()
    try:
        request.ParseFromString(body)
    except ProtobufError as error:
        raise DecodeError(f"body is not an io.prometheus.write.v2.Request: {error}", reason="decode") from error
    return request


def decoded(request: Any, index: SeriesIndex, tenant: str, begun: Beginnings | None = None) -> Decoded:
    """Every sample and histogram as rows, in the order of the request; new series are registered."""
    reading = _Reading(list(request.symbols), index, tenant, begun)
    for series in request.timeseries:
        reading.add(series)
    return reading.decoded()


class _Reading:
    """Goes through the series of one request."""

    def __init__(self, symbols: list[str], index: SeriesIndex, tenant: str, begun: Beginnings | None) -> None:
        self._symbols = symbols
        self._index = index
        self._tenant = tenant
        self._begun = begun
        self._samples, self._histograms = RowList(), RowList()

    def decoded(self) -> Decoded:
        """Everything so far."""
        histograms = self._histograms.rows()
        some = histograms.points or histograms.rejected
        return Decoded(self._samples.rows(), histograms if some else None)

    def add(self, series: Any) -> None:
        """The samples and histograms of one series."""
        try:
            labels, type_name, unit = self._described(series)
        except DecodeError as error:
            for rows, points in ((self._samples, series.samples), (self._histograms, series.histograms)):
                if points:
                    rows.refuse(error.reason, len(points))
            return
        metric = labels.pop(NAME)
        if series.samples:
            kind = kind_of(metric, type_name)
            sid = self._sid(metric, labels, unit_of(metric) or unit, kind)
            for sample in series.samples:
                self._row(self._samples, sid, kind, sample, series, sample.value)
                self._samples.next_point()
        for histogram in series.histograms:
            self._histogram(metric, labels, type_name, unit, series, histogram)

    def _described(self, series: Any) -> tuple[dict[str, str], str, str]:
        """Labels, type and unit. Raises `DecodeError` (`bad_labels`, `bad_symbol`)."""
        refs, symbols = series.labels_refs, self._symbols
        metadata = series.metadata[-1] if series.metadata else None
        try:
            texts = [symbols[ref] for ref in refs]
            unit = symbols[metadata.unit_ref] if metadata is not None and metadata.unit_ref else ""
            if metadata is not None and metadata.help_ref:
                symbols[metadata.help_ref]
        except IndexError:
            raise DecodeError(f"a reference is past the {len(symbols)} symbols", reason="bad_symbol") from None
        names = texts[::2]
        labels = {name: value for name, value in zip(names, texts[1::2], strict=False) if value}
        if len(texts) % 2 or not labels.get(NAME) or len(set(names)) != len(names):
            raise DecodeError("labels are no pairs, have no name, or repeat one", reason="bad_labels")
        number = metadata.type if metadata is not None else 0
        return labels, TYPES[number] if 0 < number < len(TYPES) else "", ucum(unit)

    def _sid(self, metric: str, labels: Mapping[str, str], unit: str, kind: SeriesKind) -> int:
        return self._index.resolve(
            metric, labels, entity=labels_entity(labels), tenant=self._tenant, unit=unit, kind=kind
        )

    def _row(self, rows: RowList, sid: int, kind: SeriesKind, point: Any, series: Any, value: float) -> None:
        time_ns = min(point.timestamp, _MS_LIMIT) * MILLISECOND_NS
        start_ns = (point.start_timestamp or series.created_timestamp) * MILLISECOND_NS
        if kind is SeriesKind.COUNTER and self._begun is not None and self._begun.is_new(sid, start_ns, time_ns):
            rows.add(sid, start_ns, 0.0)
        rows.add(sid, time_ns, value)

    def _histogram(
        self, metric: str, labels: dict[str, str], type_name: str, unit: str, series: Any, histogram: Any
    ) -> None:
        try:
            parts = parts_of(histogram, metric, labels, type_name, unit_of(metric) or unit)
        except DecodeError as error:
            self._histograms.refuse(error.reason)
            return
        for part in parts:
            sid = self._sid(part.metric, part.labels, part.unit, part.kind)
            self._row(self._histograms, sid, part.kind, histogram, series, part.value)
        self._histograms.next_point()
