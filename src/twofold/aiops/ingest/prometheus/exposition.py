"""Prometheus's text formats, 0.0.4 and OpenMetrics 1.0: lines to samples.

One parser reads both: they differ in the unit of timestamps (milliseconds; seconds), in exemplars,
which are not kept, and in the last line `# EOF`, which only OpenMetrics has and by which it is told.

Source: Prometheus "Exposition formats"; OpenMetrics 1.0 specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from twofold.errors import DecodeError

_SAMPLE: Final = re.compile(
    r"""(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*
        (?:\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]*
        (?P<value>[^\s{}\#]+)
        (?:[ \t]+(?P<time>[-+0-9.eE]+))?[ \t]*
        (?:\#.*)?""",
    re.VERBOSE,
)
_LABEL: Final = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(,|$)')
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", '"': '"', "\\": "\\"}
_EOF: Final = "# EOF"
_TYPE_WORDS: Final = 4
_MAX_TIME_NS: Final = 1 << 63


class Sample(NamedTuple):
    """One line. `time_ns` is None when the line carries no time of its own."""

    name: str
    labels: Mapping[str, str]
    value: float
    time_ns: int | None


@dataclass(slots=True)
class Exposition:
    """What one scrape gave: samples, and the type of each family by name."""

    samples: list[Sample] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)


def parse(body: bytes) -> Exposition:
    r"""All samples of a scrape.

    >>> parse(b'# TYPE up gauge\nup{job="x"} 1\n').samples
    [Sample(name='up', labels={'job': 'x'}, value=1.0, time_ns=None)]

    Raises:
        DecodeError: Not UTF-8, or a line that is no sample; nothing of the scrape counts then, as in Prometheus.
    """
    try:
        lines = body.decode().split("\n")
    except UnicodeDecodeError as error:
        raise DecodeError(f"scrape is not UTF-8: {error}", reason="decode") from error
    found = Exposition()
    open_metrics = next((line for line in reversed(lines) if line.strip()), "").strip() == _EOF
    scale = 1_000_000_000 if open_metrics else 1_000_000
    for number, raw in enumerate(lines, 1):
        line = raw.strip(" \t\r")
        if line.startswith("#"):
            words = line.split(maxsplit=3)
            if len(words) == _TYPE_WORDS and words[1] == "TYPE":
                found.types[words[2]] = words[3].strip()
        elif line:
            try:
                found.samples.append(_sample(line, scale))
            except (ValueError, OverflowError) as error:
                raise DecodeError(f"line {number} {line[:80]!r}: {error}", reason="decode", line=number) from error
    return found


def _sample(line: str, scale: int) -> Sample:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError("is not name{labels} value [time]")
    time = match["time"]
    time_ns = None if time is None else int(float(time) * scale)
    if time_ns is not None and abs(time_ns) >= _MAX_TIME_NS:
        raise ValueError(f"time {time} is out of range")
    if "_" in match["value"]:
        raise ValueError(f"value {match['value']} is not a number")
    return Sample(match["name"], _labels(match["labels"] or ""), float(match["value"]), time_ns)


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text.rstrip()):
        match = _LABEL.match(text, position)
        if match is None:
            raise ValueError(f'labels {text[position : position + 40]!r} are not name="value" pairs')
        if match[1] in labels:
            raise ValueError(f"label {match[1]} comes twice")
        labels[match[1]] = _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), match[2])
        position = match.end()
    return labels
