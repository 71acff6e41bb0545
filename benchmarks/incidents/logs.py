"""Log lines of a recorded case to symptoms: lines per request that came or went, by their masked shape."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.incidents.spans import rate_change
from twofold.aiops.diagnose import RankConfig
from twofold.aiops.diagnose.symptom import Symptom
from twofold.records.signal import Signal

_PLACE = re.compile(r"[A-Za-z_.$\[\]]+#\d+")
_HEAD = 8
Lines = Counter[tuple[str, str, str]]
Phase = tuple[Lines, Mapping[tuple[str, str], int]]
"""Lines, and spans by (service, operation)."""


def shape(message: str) -> str:
    """The line's head with every word that holds a digit masked; a source position (`Class#12`) stays.

    >>> shape("INFO  f.BasicController#45 [query][Trips: 17, Z1234]")
    'INFO f.BasicController#45 [query][Trips: <*> <*>'
    """
    words = message.split()[:_HEAD]
    return " ".join(w if _PLACE.fullmatch(w) or not any(c.isdigit() for c in w) else "<*>" for w in words)


def count(table: pa.Table, operations: Mapping[int, str], keep: npt.NDArray[np.bool_] | None = None) -> Lines:
    """Lines by (service, operation of the span that wrote it, shape). `operations`: by span id."""
    chosen = table if keep is None else table.filter(pa.array(keep))
    rows = zip(*(chosen.column(name).to_pylist() for name in ("service", "span", "message")), strict=True)
    return Counter((service, operations.get(span, ""), shape(text)) for service, span, text in rows if service and text)


def symptoms(now: Phase, normal: Sequence[Phase], config: RankConfig) -> list[Symptom]:
    """Services whose lines per span of one operation changed most."""
    best: dict[str, float] = defaultdict(float)
    for key in {each for lines, _ in (now, *normal) for each in lines}:
        service, entry = key[0], (key[0], key[1])
        pairs = [(lines.get(key, 0), entries.get(entry, 0)) for lines, entries in normal]
        weight = rate_change(now[0].get(key, 0), now[1].get(entry, 0), pairs, config)
        best[service] = max(best[service], weight)
    return [Symptom(s, Signal.ERRORS, True, 0.0, weight, ref="log lines") for s, weight in best.items() if weight > 0]
