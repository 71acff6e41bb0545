"""PromQL over the history: text to a parsed query, selectors to one read each, arrays (series by steps) to an answer.

`Engine` is all that others need. Inside, a file a concern: `parse`, `source` (catalog and history),
`values` (what flows between nodes), then operators and functions over whole arrays. Nothing here loops over
samples or steps; loops run over series labels, groups, or the depth of a window where order matters.
"""

from __future__ import annotations

from twofold.store.promql.engine import Engine
from twofold.store.promql.limits import Limits, TimedOut
from twofold.store.promql.source import HistorySource, Source
from twofold.store.promql.values import Answer, Kind, Labels

__all__ = ["Answer", "Engine", "HistorySource", "Kind", "Labels", "Limits", "Source", "TimedOut"]
