"""Traces, metrics and logs of one process, by the real OpenTelemetry SDK over OTLP/HTTP. Instrumented by hand."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context, get_current
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .config import Config
from .metrics import Meter, PushMeter, ScrapeMeter

METRICS_EVERY_MS = 5000
SPANS_EVERY_MS = 2000
LOGS_EVERY_MS = 1000
_EXPORT_TIMEOUT_S = 3.0
_FLUSH_S = 0.7

_propagator = TraceContextTextMapPropagator()


def inject(carrier: dict[str, str]) -> dict[str, str]:
    """Add the current span's W3C trace context to headers, and return them."""
    _propagator.inject(carrier)
    return carrier


def extract(carrier: Mapping[str, str]) -> Context:
    """The trace context that a caller or a message brought along."""
    return _propagator.extract(carrier)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a service uses to tell of itself.

    Attributes:
        tracer: The SDK's tracer.
        meter: Counters, histograms and gauges.
        log: Records carry the trace and span they were written in.
        providers: The SDK's parts, to be shut down at the end.
    """

    tracer: Any
    meter: Meter
    log: logging.Logger
    providers: tuple[Any, ...]

    def stop(self) -> None:
        """Send what is buffered, for at most 0.7 s: an unreachable receiver must not hold up the end."""
        threads = [threading.Thread(target=provider.shutdown, daemon=True) for provider in self.providers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_FLUSH_S)


def push(config: Config) -> Telemetry:
    """Everything pushed over OTLP: spans each 2 s, logs each second, metrics each 5 s."""
    told = scraped(config)
    exporter = OTLPMetricExporter(f"{config.otlp_url}/v1/metrics", **_options(config))
    reader = PeriodicExportingMetricReader(exporter, METRICS_EVERY_MS)
    metrics = MeterProvider([reader], resource=_resource(config), shutdown_on_exit=False)
    return Telemetry(told.tracer, PushMeter(metrics), told.log, (*told.providers, metrics))


def scraped(config: Config) -> Telemetry:
    """Spans and logs pushed over OTLP; metrics wait for a Prometheus scrape."""
    resource, options = _resource(config), _options(config)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans = OTLPSpanExporter(f"{config.otlp_url}/v1/traces", **options)
    traces.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=SPANS_EVERY_MS))
    logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
    records = OTLPLogExporter(f"{config.otlp_url}/v1/logs", **options)
    logs.add_log_record_processor(BatchLogRecordProcessor(records, schedule_delay_millis=LOGS_EVERY_MS))
    log = _logger(config.service, _Export(logs))
    return Telemetry(traces.get_tracer("shop"), ScrapeMeter(), log, (traces, logs))


def silent(config: Config) -> Telemetry:
    """Telemetry that goes nowhere, for a process that plays the outside world."""
    return Telemetry(NoOpTracer(), ScrapeMeter(), _logger(config.service, logging.NullHandler()), ())


def _resource(config: Config) -> Resource:
    return Resource.create(
        {
            "service.name": config.service,
            "service.version": config.version,
            "service.instance.id": f"{config.service}-1",
            "host.name": config.host,
        }
    )


def _options(config: Config) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {config.token}"} if config.token else None
    return {"timeout": _EXPORT_TIMEOUT_S, "compression": Compression.Gzip, "headers": headers}


class _Export(logging.Handler):
    """Turns standard log records into OpenTelemetry's, with the trace and span they were written in."""

    def __init__(self, provider: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = provider.get_logger("shop")

    def emit(self, record: logging.LogRecord) -> None:
        attributes: dict[str, Any] = {"code.function.name": record.funcName, "code.line.number": record.lineno}
        if record.exc_info and record.exc_info[0]:
            attributes["exception.type"] = record.exc_info[0].__name__
            attributes["exception.message"] = str(record.exc_info[1])
            attributes["exception.stacktrace"] = "".join(traceback.format_exception(*record.exc_info))
        self._logger.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                context=get_current(),
                severity_number=_SEVERITY[record.levelno],
                severity_text="WARN" if record.levelno == logging.WARNING else record.levelname,
                body=record.getMessage(),
                attributes=attributes,
            )
        )


_SEVERITY = {
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


def _logger(service: str, handler: logging.Handler) -> logging.Logger:
    log = logging.getLogger(f"shop.{service}")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log
