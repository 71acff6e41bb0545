"""Prometheus and what speaks its query API (Thanos, Mimir, Cortex), and VictoriaMetrics by its export.

Of Prometheus every sample is read as it is stored, by range selectors, many metrics a question; a question whose
answer is too large is split by metrics, then by time. With a step it is one value a step (`query_range`).
Native histograms are left out: they have no form that these questions give back whole.

Source: Prometheus HTTP API; VictoriaMetrics "How to export time series", JSON line format.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from twofold.aiops.ingest.prometheus.remote_write import NAME
from twofold.aiops.ingest.pull.source import (
    SECOND_MS,
    Asker,
    PullConfig,
    Pulled,
    Request,
    Window,
    has_name,
    write_requests,
)
from twofold.errors import DecodeError, Permanent, TooLarge, Transient
from twofold.flow.outgoing import Refused

TOGETHER: Final = 100  # metrics a question, to begin with
_SHORTEST_MS: Final = 10_000
_SPLITTABLE: Final = frozenset({400, 422})  # "too many samples": 422 of Prometheus, 400 of some others

log = logging.getLogger(__name__)


class Prometheus:
    """Reads a Prometheus."""

    def __init__(self, config: PullConfig, asker: Asker | None = None) -> None:
        self._asker = asker or Asker(config)
        self._match = config.match or '{__name__!=""}'
        self._step_s = config.step_s
        self._types: dict[str, str] | None = None

    def requests(self, window: Window) -> Iterator[Request]:
        """Everything of a window, as remote-write requests."""
        names = self._names(window)
        for start in range(0, len(names), TOGETHER):
            yield from write_requests(self._series(names[start : start + TOGETHER], window), self._known_types())

    def close(self) -> None:
        """Release connections."""
        self._asker.close()

    def _names(self, window: Window) -> list[str]:
        found = self._asker.json(
            f"/api/v1/label/{NAME}/values",
            {
                "match[]": self._match,
                "start": str(window.start_ms / SECOND_MS),
                "end": str(window.end_ms / SECOND_MS),
            },
        )
        return sorted(found or ())

    def _known_types(self) -> dict[str, str]:
        """Type of each metric family, asked once; a system without metadata (Thanos may be one) tells none."""
        if self._types is None:
            try:
                found = self._asker.json("/api/v1/metadata")
            except (Permanent, Transient) as error:
                log.warning("types of metrics are not known: %s", error)
                found = {}
            self._types = types_of(found)
        return self._types

    def _series(self, names: Sequence[str], window: Window) -> Iterator[Pulled]:
        """Series of these metrics in a window; a question that asks too much is split."""
        try:
            yield from self._asked(names, window)
        except (TooLarge, Refused) as error:
            if isinstance(error, Refused) and error.facts.get("status") not in _SPLITTABLE:
                raise
            if len(names) > 1:
                half = len(names) // 2
                yield from self._series(names[:half], window)
                yield from self._series(names[half:], window)
            elif window.end_ms - window.start_ms > _SHORTEST_MS:
                yield from self._series(names, Window(window.start_ms, window.middle_ms))
                yield from self._series(names, Window(window.middle_ms, window.end_ms))
            else:
                raise

    def _asked(self, names: Sequence[str], window: Window) -> list[Pulled]:
        selector = self._selector(names)
        if self._step_s:
            data = self._asker.json(
                "/api/v1/query_range",
                {
                    "query": selector,
                    "start": str((window.start_ms / SECOND_MS // self._step_s + 1) * self._step_s),  # multiples of it
                    "end": str(window.end_ms / SECOND_MS),
                    "step": str(self._step_s),
                },
            )
        else:
            width_ms = window.end_ms - window.start_ms
            data = self._asker.json(
                "/api/v1/query", {"query": f"{selector}[{width_ms}ms]", "time": str(window.end_ms / SECOND_MS)}
            )
        return [found for each in _results(data) if (found := _pulled(each, window)) is not None]

    def _selector(self, names: Sequence[str]) -> str:
        """The match, narrowed to these metrics."""
        choice = "|".join(re.escape(name) for name in names).replace("\\", "\\\\").replace('"', '\\"')
        narrowed = f'{NAME}=~"{choice}"'
        before, brace, rest = self._match.partition("{")
        if not brace:
            return f'{{{narrowed},{NAME}="{before.strip()}"}}'
        inner = rest.rpartition("}")[0].strip().removesuffix(",")
        own = f'{NAME}="{before.strip()}",' if before.strip() else ""
        return f"{{{own}{inner + ',' if inner else ''}{narrowed}}}"


def _results(data: Any) -> list[Any]:
    found = data.get("result") if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise DecodeError(f"answer {str(data)[:80]!r} has no result", reason="decode")
    return found


def _pulled(each: Any, window: Window) -> Pulled | None:
    """Samples of one result within the window, None without any. Raises `DecodeError`."""
    try:
        labels, values = _labels(each["metric"]), each.get("values", ())
        pairs = [(round(time * SECOND_MS), float(value)) for time, value in values]
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise DecodeError(f"result {str(each)[:80]!r} is no series: {error}", reason="decode") from error
    pairs = [pair for pair in pairs if window.start_ms < pair[0] <= window.end_ms]
    if not pairs or not has_name(labels):
        return None
    return Pulled(labels, [time for time, _ in pairs], [value for _, value in pairs])


class VictoriaMetrics:
    """Reads a VictoriaMetrics by its export, which gives every sample as it is stored."""

    def __init__(self, config: PullConfig, asker: Asker | None = None) -> None:
        self._asker = asker or Asker(config)
        self._match = config.match or '{__name__!=""}'
        self._ranged = Prometheus(config, self._asker) if config.step_s else None

    def requests(self, window: Window) -> Iterator[Request]:
        """Everything of a window, as remote-write requests."""
        if self._ranged is not None:
            yield from self._ranged.requests(window)
        else:
            yield from write_requests(self._exported(window), {})

    def close(self) -> None:
        """Release connections."""
        self._asker.close()

    def _exported(self, window: Window) -> Iterator[Pulled]:
        try:
            body = self._asker.text(
                "/api/v1/export",
                {
                    "match[]": self._match,
                    "start": str((window.start_ms + 1) / SECOND_MS),
                    "end": str(window.end_ms / SECOND_MS),
                },
            )
        except TooLarge:
            if window.end_ms - window.start_ms <= _SHORTEST_MS:
                raise
            yield from self._exported(Window(window.start_ms, window.middle_ms))
            yield from self._exported(Window(window.middle_ms, window.end_ms))
            return
        for line in body.splitlines():
            if line.strip() and (found := exported_series(line, window)) is not None:
                yield found


def _labels(found: Any) -> dict[str, str]:
    """Labels of a series. Raises `TypeError` unless all are texts."""
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise TypeError("labels must be texts")
    return found


def types_of(found: object) -> dict[str, str]:
    """Types by metric family, of an answer about metadata; what is not of its form tells none.

    >>> types_of({"up": [{"type": "gauge", "help": ""}], "x": [], "y": 5}), types_of(7)
    ({'up': 'gauge'}, {})
    """
    if not isinstance(found, dict):
        return {}
    told = {name: each[0].get("type") for name, each in found.items() if isinstance(each, list) and _told(each)}
    return {name: kind for name, kind in told.items() if isinstance(kind, str)}


def _told(each: list[object]) -> bool:
    return bool(each) and isinstance(each[0], dict)


def exported_series(line: bytes, window: Window) -> Pulled | None:
    """One line of the export; null among its values is a stale marker. Raises `DecodeError`."""
    try:
        value = orjson.loads(line)
        labels = _labels(value["metric"])
        pairs = [
            (int(time), float(each))
            for time, each in zip(value["timestamps"], value["values"], strict=True)
            if each is not None and window.start_ms < time <= window.end_ms
        ]
    except (orjson.JSONDecodeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise DecodeError(f"export line {line[:80]!r} is no series: {error}", reason="decode") from error
    if not pairs or not has_name(labels):
        return None
    return Pulled(labels, [time for time, _ in pairs], [each for _, each in pairs])
