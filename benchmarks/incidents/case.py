"""One recorded fault, as the ranking may see it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from benchmarks.incidents.shift import Column


@dataclass(slots=True)
class Case:
    """One case. Time 0 is the true detection time.

    Attributes:
        true: The guilty entity; only the scorer may look.
        edges: (caller, callee) as published; more are learnt from the spans.
        spans, logs: From about a minute before the detection time on; None where the study has none.
    """

    id: str
    system: str
    true: str
    columns: list[Column]
    edges: list[tuple[str, str]]
    spans: pa.Table | None = None
    logs: pa.Table | None = None
