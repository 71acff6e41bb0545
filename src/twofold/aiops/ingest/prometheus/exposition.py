"""Prometheus's text formats, 0.0.4, 1.0.0 and OpenMetrics 1.0: lines to samples.

One parser reads all. They differ in the unit of timestamps (milliseconds; seconds), and in the exemplars and the
last line `# EOF` that only OpenMetrics has. An OpenMetrics body without that line was cut short, and is refused.
Names beyond the old alphabet stand in quotes: `{"http.requests", "my.label"="x"} 1`.

Source: Prometheus "Exposition formats", "UTF-8 support"; OpenMetrics 1.0 specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from twofold.errors import DecodeError

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_SAMPLE: Final = re.compile(
    rf"""(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*+)?[ \t]*
        (?:\{{(?P<labels>(?:[^"}}]|{_QUOTED})*)\}})?[ \t]*
        (?P<value>[^\s{{}}\#]+)
        (?:[ \t]+(?P<time>[-+0-9.eE]+))?[ \t]*
        (?:\#(?P<exemplar>.*))?""",
    re.VERBOSE,
)
_EXEMPLAR: Final = re.compile(
    rf"""[ \t]*\{{(?P<labels>(?:[^"}}]|{_QUOTED})*)\}}[ \t]+(?P<value>[^\s]+)(?:[ \t]+(?P<time>[-+0-9.eE]+))?[ \t]*""",
    re.VERBOSE,
)
_LABEL: Final = re.compile(
    rf"""[ \t]*(?:(?P<name>[a-zA-Z_][a-zA-Z0-9_]*|{_QUOTED})[ \t]*=[ \t]*(?P<value>{_QUOTED})|(?P<metric>{_QUOTED}))
        [ \t]*(?:,|$)""",
    re.VERBOSE,
)
_TYPE: Final = re.compile(rf"\#[ \t]+TYPE[ \t]+(?P<name>{_QUOTED}|\S+)[ \t]+(?P<type>\S+)")
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", '"': '"', "\\": "\\"}
_EOF: Final = "# EOF"
_OPEN_METRICS: Final = "application/openmetrics-text"
_MAX_TIME_NS: Final = 1 << 63


class Pointer(NamedTuple):
    """An exemplar: labels, a value, and its time where it has one."""

    labels: Mapping[str, str]
    value: float
    time_ns: int | None


class Sample(NamedTuple):
    """One line. `time_ns` is None when the line carries no time of its own."""

    name: str
    labels: Mapping[str, str]
    value: float
    time_ns: int | None
    exemplar: Pointer | None = None


@dataclass(slots=True)
class Exposition:
    """What one scrape gave: samples, and the type of each family by name."""

    samples: list[Sample] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)


def parse(body: bytes, media: str = "") -> Exposition:
    r"""All samples of a scrape. Without a media type, OpenMetrics is told by its last line.

    >>> parse(b'# TYPE up gauge\nup{job="x"} 1\n').samples
    [Sample(name='up', labels={'job': 'x'}, value=1.0, time_ns=None, exemplar=None)]

    Raises:
        DecodeError: Not UTF-8, cut short, or a line that is no sample; nothing of the scrape counts then, as in
            Prometheus.
    """
    try:
        lines = body.decode().split("\n")
    except UnicodeDecodeError as error:
        raise DecodeError(f"scrape is not UTF-8: {error}", reason="decode") from error
    found = Exposition()
    ended = next((line for line in reversed(lines) if line.strip()), "").strip() == _EOF
    open_metrics = ended or media.startswith(_OPEN_METRICS)
    if open_metrics and not ended:
        raise DecodeError("scrape does not end with `# EOF`: it was cut short", reason="truncated")
    for number, raw in enumerate(lines, 1):
        line = raw.strip(" \t\r")
        if line.startswith("#"):
            if typed := _TYPE.fullmatch(line):
                found.types[_plain(typed["name"])] = typed["type"]
        elif line:
            try:
                found.samples.append(_sample(line, open_metrics=open_metrics))
            except (ValueError, OverflowError) as error:
                raise DecodeError(f"line {number} {line[:80]!r}: {error}", reason="decode", line=number) from error
    return found


def _sample(line: str, *, open_metrics: bool) -> Sample:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError("is not name{labels} value [time]")
    quoted, labels = _labels(match["labels"] or "")
    name = match["name"] or quoted
    if not name or (quoted and match["name"]):
        raise ValueError("has no name, or two")
    exemplar = None
    if match["exemplar"] is not None:
        if not open_metrics:
            raise ValueError("carries an exemplar, which only OpenMetrics may")
        exemplar = _exemplar(match["exemplar"])
    scale = 1_000_000_000 if open_metrics else 1_000_000
    return Sample(name, labels, _number(match["value"]), _time_ns(match["time"], scale), exemplar)


def _exemplar(text: str) -> Pointer:
    match = _EXEMPLAR.fullmatch(text)
    if match is None:
        raise ValueError("has an exemplar that is not {labels} value [time]")
    quoted, labels = _labels(match["labels"])
    if quoted:
        raise ValueError("has an exemplar with a name")
    return Pointer(labels, _number(match["value"]), _time_ns(match["time"], 1_000_000_000))


def _time_ns(text: str | None, scale: int) -> int | None:
    if text is None:
        return None
    time_ns = int(float(text) * scale)
    if abs(time_ns) >= _MAX_TIME_NS:
        raise ValueError(f"time {text} is out of range")
    return time_ns


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError(f"value {text} is not a number")
    return float(text)


def _plain(text: str) -> str:
    """A text without its quotes and escapes, if it has any."""
    if not text.startswith('"'):
        return text
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1])


def _labels(text: str) -> tuple[str, dict[str, str]]:
    """The metric's name where it stands among the labels, and the labels."""
    labels: dict[str, str] = {}
    metric = ""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _LABEL.match(text, position)
        if match is None:
            raise ValueError(f'labels {text[position : position + 40]!r} are not name="value" pairs')
        if match["metric"] is not None:
            if metric or position:
                raise ValueError("has a name that is not first, or two")
            metric = _plain(match["metric"])
        else:
            name = _plain(match["name"])
            if name in labels:
                raise ValueError(f"label {name} comes twice")
            labels[name] = _plain(match["value"])
        position = match.end()
    return metric, labels
