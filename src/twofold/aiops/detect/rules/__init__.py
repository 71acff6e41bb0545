"""Alert rules that people already have, in Prometheus's format, evaluated over history: when would they have fired?

`file` reads them and says what is wrong with which, `order` says which of them look at which, `source` holds what they
record in front of the history, `firing` keeps the states of alerts, `template` fills in their labels and annotations;
`replay` brings it together. Source: Prometheus's documentation of alerting and recording rules, and its `promtool`.
"""

from __future__ import annotations

from twofold.aiops.detect.rules.file import Book, Rule, read_rules
from twofold.aiops.detect.rules.firing import Firing
from twofold.aiops.detect.rules.replay import Replayed, replay

__all__ = ["Book", "Firing", "Replayed", "Rule", "read_rules", "replay"]
