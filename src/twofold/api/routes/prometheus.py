"""Prometheus's HTTP query API over our telemetry, for Grafana and everything else that asks Prometheus.

Mounted under `/prometheus`, because `/api/v1/series` is ours. Answers and errors have Prometheus's form;
what the guard refuses has ours.

Source: Prometheus's documentation of its HTTP API.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple, cast
from urllib.parse import parse_qsl

import numpy as np
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter

import twofold
from twofold.api.answers import data_of, failure, success
from twofold.api.router import identity_of, services_of
from twofold.api.rules import needs
from twofold.errors import InputError, Overloaded, Transient, TwofoldError, Unsupported
from twofold.records.access import Permission
from twofold.records.series import SeriesKind
from twofold.store.promql import Answer, Engine, HistorySource, Limits, TimedOut
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Conditions
from twofold.store.promql.parse import selector
from twofold.store.promql.values import NAME

routes = APIRouter(prefix="/prometheus/api/v1", tags=["prometheus"])
SPEAKS: Final = "3.0.0"
"""The version of Prometheus whose language and API we speak; Grafana asks for it."""
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_MS: Final = 1 << 53
_DURATION: Final = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS_MS: Final = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_EXECUTION: Final = frozenset({"execution", "query_samples", "query_series", "query_cells"})
_TYPES: Final = {SeriesKind.COUNTER: "counter"}
_READ: Final = needs(Permission.READ)
AT_ONCE: Final = 2
"""Queries that run at the same time."""
MOST_WAITING: Final = 200
"""Queries that run or wait for it."""
_POOL: Final = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="promql")
_waiting = 0


class Asked(NamedTuple):
    """A request, read: its parameters and what answers."""

    parameters: Sequence[tuple[str, str]]
    source: HistorySource
    limits: Limits

    def one(self, name: str, default: str = "") -> str:
        """The first value of a parameter; empty counts as not there."""
        return next((value for key, value in self.parameters if key == name and value), default)

    def required(self, name: str) -> str:
        """Raises `InputError` when it is not there."""
        if value := self.one(name):
            return value
        raise InputError(f'invalid parameter "{name}": it is missing', reason="parameter")

    def every(self, name: str) -> list[str]:
        """All values of a parameter."""
        return [value for key, value in self.parameters if key == name]

    def time_ms(self, name: str, default: str = "") -> int:
        """A moment. Raises `InputError`."""
        return _time_ms(name, self.one(name, default) or self.required(name))

    def limit(self) -> int:
        """Most items of the answer; 0 for all. Raises `InputError`."""
        text = self.one("limit", "0")
        if not text.isdecimal():
            raise InputError(f'invalid parameter "limit": {text!r} is no whole number', reason="parameter")
        return int(text)


Handler = Callable[[Asked], bytes]


def _answered(of: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A route that reads parameters from the query or a form, runs in a thread, and gives errors Prometheus's form."""

    async def route(request: Request) -> Response:
        parameters = parse_qsl(request.url.query, keep_blank_values=True)
        if request.method == "POST" and request.headers.get("content-type", "").partition(";")[0].strip() == _FORM:
            parameters += parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True)
        source = _source(request, identity_of(request).tenant)
        started, counts = time.perf_counter(), _counts(request)
        try:
            body = await _threaded(partial(of, Asked(parameters, source, services_of(request).promql)))
        except TwofoldError as error:
            status, kind = _kind(error)
            counts.told(kind, time.perf_counter() - started)
            headers = {"retry-after": str(error.retry_after_s)} if isinstance(error, Overloaded) else None
            return Response(failure(kind, error.message), status, headers, "application/json")
        counts.told("success", time.perf_counter() - started)
        return Response(body, media_type="application/json")

    route.__doc__ = of.__doc__
    return route


class _Counts:
    """Self metrics: queries by outcome, and the time that they took together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queries = Counter(
            "twofold_promql_requests", "Requests to the Prometheus API by outcome.", ["outcome"], registry=registry
        )
        self._seconds = Counter("twofold_promql_seconds", "Time of all of them, waiting included.", registry=registry)

    def told(self, outcome: str, seconds: float) -> None:
        """One answer."""
        self._queries.labels(outcome).inc()
        self._seconds.inc(seconds)


def _counts(request: Request) -> _Counts:
    """Of this app; made with its first request."""
    state = request.app.state
    if not hasattr(state, "promql_counts"):
        state.promql_counts = _Counts(services_of(request).registry)
    return cast("_Counts", state.promql_counts)


def _source(request: Request, tenant: str) -> HistorySource:
    """Of a tenant; made with its first request and kept, as it remembers series."""
    state = request.app.state
    if not hasattr(state, "promql_sources"):
        state.promql_sources = {}
    sources: dict[str, HistorySource] = state.promql_sources
    if tenant not in sources:
        services = services_of(request)
        sources[tenant] = HistorySource(services.catalog, services.history, tenant=tenant)
    return sources[tenant]


async def _threaded(work: Callable[[], bytes]) -> bytes:
    """Run in a thread of our own few, which bound what queries take together; more than may wait are refused.

    Raises:
        Overloaded: Too many wait already.
    """
    global _waiting  # noqa: PLW0603 - a count of this process; changed on the event loop only
    if _waiting >= MOST_WAITING:
        raise Overloaded(f"{MOST_WAITING} queries run or wait already, the limit; try again later")
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_POOL, work)
    finally:
        _waiting -= 1


def _kind(error: TwofoldError) -> tuple[int, str]:
    """Status and `errorType` of an error."""
    if isinstance(error, TimedOut):
        return 503, "timeout"
    if isinstance(error, InputError):
        return (422, "execution") if error.reason in _EXECUTION else (400, "bad_data")
    if isinstance(error, Unsupported):
        return 422, "execution"
    if isinstance(error, Overloaded):
        return 429, "unavailable"
    return (503, "unavailable") if isinstance(error, Transient) else (500, "internal")


def _both(path: str, name: str) -> Callable[[Handler], Handler]:
    """GET, and POST with a form."""

    def add(of: Handler) -> Handler:
        for method in ("GET", "POST"):
            routes.add_api_route(
                path,
                _answered(of),
                methods=[method],
                operation_id=f"prometheus_{name}_{method.lower()}",
                openapi_extra=_READ,
                include_in_schema=False,
            )
        return of

    return add


@_both("/query", "query")
def query(asked: Asked) -> bytes:
    """An expression at one moment."""
    engine = _engine(asked)
    now = str(datetime.now(UTC).timestamp())
    answer = engine.instant(asked.source, asked.required("query"), asked.time_ms("time", now))
    return _told(answer, asked.limit())


@_both("/query_range", "query_range")
def query_range(asked: Asked) -> bytes:
    """An expression at every step of a span of time."""
    engine = _engine(asked)
    start, end = asked.time_ms("start"), asked.time_ms("end")
    step = _duration_ms("step", asked.required("step"))
    return _told(engine.range(asked.source, asked.required("query"), start, end, step), asked.limit())


@_both("/series", "series")
def series(asked: Asked) -> bytes:
    """Label sets of the series that match any of the selectors."""
    if not asked.every("match[]"):
        raise InputError("no match[] parameter provided", reason="parameter")
    found = asked.source.series(*_meant(asked))
    return _limited([dict(labels) for labels in found], asked.limit())


@_both("/labels", "labels")
def labels(asked: Asked) -> bytes:
    """Names of all labels, of the series that match if any selector is given."""
    return _limited(sorted(asked.source.label_names(*_meant(asked))), asked.limit())


@routes.get(
    "/label/{name}/values", operation_id="prometheus_label_values", openapi_extra=_READ, include_in_schema=False
)
async def label_values(name: str, request: Request) -> Response:
    """Values of one label."""

    def values(asked: Asked) -> bytes:
        if name == NAME and not asked.every("match[]"):
            return _limited(sorted(asked.source.metric_names()), asked.limit())
        return _limited(sorted(asked.source.label_values(name, *_meant(asked))), asked.limit())

    return await _answered(values)(request)


@routes.get("/metadata", operation_id="prometheus_metadata", openapi_extra=_READ, include_in_schema=False)
async def metadata(request: Request) -> Response:
    """Type and unit of each metric. Help texts are not kept."""

    def told(asked: Asked) -> bytes:
        metric, limit = asked.one("metric"), asked.limit()
        found = asked.source.metrics()
        names = [name for name in sorted(found) if not metric or name == metric]
        return success(
            {
                name: [{"type": _TYPES.get(found[name].kind, "gauge"), "help": "", "unit": found[name].unit}]
                for name in names[: limit or None]
            }
        )

    return await _answered(told)(request)


@routes.get("/status/buildinfo", operation_id="prometheus_buildinfo", openapi_extra=_READ, include_in_schema=False)
async def build_info() -> Response:
    """Which Prometheus we speak like, and that we are Twofold."""
    told = {
        "version": SPEAKS,
        "revision": f"twofold {twofold.__version__}",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }
    return Response(success(told), media_type="application/json")


def _engine(asked: Asked) -> Engine:
    """With the bounds that the request asks for, where they are tighter than ours."""
    limits = asked.limits
    if text := asked.one("timeout"):
        limits = replace(limits, seconds=max(0.0, min(limits.seconds, _duration_ms("timeout", text) / 1000)))
    if (text := asked.one("lookback_delta")) and (lookback_ms := _duration_ms("lookback_delta", text)) > 0:
        limits = replace(limits, lookback_ms=lookback_ms)
    return Engine(limits)


def _told(answer: Answer, limit: int) -> bytes:
    warnings = list(answer.warnings)
    vector = answer.vector
    if limit and vector is not None and len(vector) > limit:
        answer = replace(answer, vector=vector.take(np.arange(limit)))
        warnings.append(f"results truncated due to limit {limit}")
    return success(data_of(answer), warnings=warnings, infos=answer.infos)


def _limited(items: Sequence[object], limit: int) -> bytes:
    if limit and len(items) > limit:
        return success(items[:limit], warnings=[f"results truncated due to limit {limit}"])
    return success(items)


def _meant(asked: Asked) -> tuple[Conditions, Account]:
    """What the selectors ask for; all series without one. The span of time is checked and does not narrow them."""
    for name in ("start", "end"):
        if asked.one(name):
            asked.time_ms(name)
    found = tuple(each for text in asked.every("match[]") for each in selector(text, asked.limits))
    return found or ((),), Account(replace(asked.limits, series=10 * asked.limits.series))


def _time_ms(name: str, text: str) -> int:
    """Seconds since 1970, or RFC 3339."""
    try:
        seconds = float(text) if re.fullmatch(r"[-+0-9.eE]+", text) else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise InputError(
            f'invalid parameter "{name}": cannot parse {text[:100]!r} to a valid timestamp', reason="parameter"
        ) from error
    return _whole(name, text, seconds)


def _duration_ms(name: str, text: str) -> int:
    """Seconds, or a duration such as `5m`."""
    found = _DURATION.fullmatch(text)
    if found and text:
        whole = sum(int(number) * unit for number, unit in zip(found.groups("0"), _UNITS_MS, strict=True))
        return _whole(name, text, whole / 1000)
    try:
        seconds = float(text.replace("_", "no number"))
    except ValueError as error:
        raise InputError(
            f'invalid parameter "{name}": cannot parse {text[:100]!r} to a valid duration', reason="parameter"
        ) from error
    return _whole(name, text, seconds)


def _whole(name: str, text: str, seconds: float) -> int:
    if not math.isfinite(seconds) or abs(seconds) * 1000 > _MOST_MS:
        raise InputError(f'invalid parameter "{name}": {text[:100]!r} is out of range', reason="parameter")
    return round(seconds * 1000)
