"""Loki, page by page.

A page begins at the last time of the page before, and lines of that time which were read already are left out: Loki
has no other cursor. When a whole page holds one single time, the page is made larger.

Source: Loki HTTP API, "Query logs within a range of time", and its header for categorised labels.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import orjson

from twofold.aiops.ingest.logs.loki import Loki as Push
from twofold.aiops.ingest.otlp.message import JSON
from twofold.aiops.ingest.pull.source import Asker, PullConfig, Request, Window
from twofold.errors import DecodeError, TooLarge

PAGE: Final = 5_000  # Loki's own default for max_entries_limit_per_query
LARGEST_PAGE: Final = 1_000_000
_MS_NS: Final = 1_000_000
_USUAL: Final = ("service_name", "job", "app", "container", "namespace", "host", "filename")
_CATEGORISED: Final = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}

log = logging.getLogger(__name__)

Line = tuple[int, str, str, dict[str, Any]]  # time, labels as JSON, text, structured metadata


class Loki:
    """Reads a Loki."""

    def __init__(self, config: PullConfig, asker: Asker | None = None) -> None:
        self._asker = asker or Asker(config)
        self._query = config.match

    def requests(self, window: Window) -> Iterator[Request]:
        """Every line of a window, as push requests."""
        start_ns, end_ns = window.start_ms * _MS_NS + 1, window.end_ms * _MS_NS + 1  # Loki's end is not in its range
        seen: Counter[tuple[int, str, str]] = Counter()
        limit = PAGE
        while start_ns < end_ns:
            page = self._page(start_ns, end_ns, limit)
            fresh = _fresh(page, seen)
            if fresh:
                yield _push(fresh)
            if len(page) < limit:
                return
            last_ns = max(time_ns for time_ns, *_ in page)
            if not fresh and last_ns == start_ns:
                if limit >= LARGEST_PAGE:
                    raise TooLarge(f"more than {limit} lines of the time {last_ns} ns", reason="page", limit=limit)
                limit *= 4
                continue
            start_ns = last_ns
            seen = Counter((time_ns, labels, text) for time_ns, labels, text, _ in page if time_ns == last_ns)
            limit = PAGE

    def close(self) -> None:
        """Release connections."""
        self._asker.close()

    @property
    def query(self) -> str:
        """What is asked. Loki wants one label that must be there; without a query it is the most usual one it has."""
        if not self._query:
            labels = set(self._asker.json("/loki/api/v1/labels") or ())
            label = next((each for each in _USUAL if each in labels), next(iter(sorted(labels)), "service_name"))
            self._query = f'{{{label}=~".+"}}'
            log.info("reading %s; name another query for lines without that label", self._query)
        return self._query

    def _page(self, start_ns: int, end_ns: int, limit: int) -> list[Line]:
        parameters = {
            "query": self.query,
            "start": str(start_ns),
            "end": str(end_ns),
            "limit": str(limit),
            "direction": "forward",
        }
        data = self._asker.json("/loki/api/v1/query_range", parameters, **_CATEGORISED)
        if not isinstance(data, dict) or data.get("resultType") != "streams":
            raise DecodeError(
                f"query {self._query!r} gives no streams; ask for lines, not for a metric", reason="query"
            )
        found: list[Line] = []
        try:
            for stream in data["result"]:
                labels = orjson.dumps(stream["stream"], option=orjson.OPT_SORT_KEYS).decode()
                found += [(int(value[0]), labels, str(value[1]), _metadata(value)) for value in stream["values"]]
        except (TypeError, ValueError, LookupError) as error:
            raise DecodeError(f"Loki's answer is no list of streams: {error}", reason="decode") from error
        return sorted(found, key=lambda line: line[0])


def _metadata(value: list[Any]) -> dict[str, Any]:
    """Structured metadata of a line; labels that the query made of its text (`parsed`) are in the text already."""
    more = value[2] if len(value) > 2 else {}  # noqa: PLR2004 - time, text, and what is known of the line
    found = more.get("structuredMetadata") if isinstance(more, dict) else None
    return found if isinstance(found, dict) else {}


def _fresh(page: list[Line], seen: Counter[tuple[int, str, str]]) -> list[Line]:
    """Lines that the page before did not have; the same line twice at one time counts twice."""
    left = seen.copy()
    fresh = []
    for line in page:
        if left[line[:3]] > 0:
            left[line[:3]] -= 1
        else:
            fresh.append(line)
    return fresh


def _push(lines: list[Line]) -> Request:
    streams: dict[str, list[list[Any]]] = {}
    for time_ns, labels, text, own in lines:
        streams.setdefault(labels, []).append([str(time_ns), text, own] if own else [str(time_ns), text])
    body = {"streams": [{"stream": orjson.loads(labels), "values": values} for labels, values in streams.items()]}
    return Request(Push.path, JSON, orjson.dumps(body), len(lines))
