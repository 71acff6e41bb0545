"""Log lines and spans before they are durable: what is not worth keeping goes, what must not be kept is taken out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from twofold.aiops.ingest.clean.config import CleanConfig, DropRule, Signal, compiled
from twofold.aiops.ingest.clean.scrub import Scrubber
from twofold.aiops.ingest.counts import Outcome
from twofold.records.frame import FrameKind

Bools = npt.NDArray[np.bool_]

_SIGNALS: Final = {FrameKind.LOGS: Signal.LOGS, FrameKind.SPANS: Signal.SPANS}
_TEXT: Final = {Signal.LOGS: "body", Signal.SPANS: "name"}


class LineCleaner:
    """Cleans batches of schema `LOGS` and `SPANS`. Thread-safe; costs nothing without rules.

    Args:
        scrubbed: Told how many lines or spans each scrub rule changed.
    """

    def __init__(self, config: CleanConfig, scrubbed: Callable[[Mapping[str, int]], None]) -> None:
        self._drops = {
            signal: [_Drop(rule) for rule in config.drop if rule.signal is signal] for signal in _SIGNALS.values()
        }
        scrub = config.scrub
        self._scrubber = Scrubber(scrub) if scrub.kinds or scrub.rules or scrub.attributes else None
        self._scrubbed = scrubbed

    def clean(self, kind: FrameKind, batch: pa.RecordBatch, outcome: Outcome) -> tuple[pa.RecordBatch, Outcome]:
        """The batch to store, and its outcome with what was dropped by rule."""
        signal = _SIGNALS.get(kind)
        if signal is None or not batch.num_rows:
            return batch, outcome
        if self._drops[signal]:
            batch, dropped = _without(batch, self._drops[signal])
            if dropped:
                lost = dropped.total()
                outcome = replace(
                    outcome,
                    stored=outcome.stored - lost,
                    rows=outcome.rows - lost,
                    dropped=outcome.dropped + dropped,
                )
        return self._scrub(signal, batch), outcome

    def _scrub(self, signal: Signal, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self._scrubber is None or not batch.num_rows:
            return batch
        counted: Counter[str] = Counter()
        columns = {name: batch.column(name) for name in batch.schema.names}
        if signal is Signal.LOGS:
            columns["body"] = self._scrubber.texts(columns["body"], counted)
        else:
            columns["name"] = self._scrubber.names(columns["name"], counted)
        columns["attributes"] = self._scrubber.objects(columns["attributes"], counted)
        if not counted:
            return batch
        self._scrubbed(counted)
        return pa.record_batch(list(columns.values()), schema=batch.schema)


class _Drop:
    """One rule, compiled."""

    def __init__(self, rule: DropRule) -> None:
        self.reason = f"drop_{rule.name}"
        self._rule = rule
        self._entity = compiled(rule.entity, "ingest.clean.drop") if rule.entity else None
        self._match = compiled(rule.match, "ingest.clean.drop") if rule.match else None
        self._attributes = {name: compiled(regex, "ingest.clean.drop") for name, regex in rule.attributes.items()}

    def mask(self, batch: pa.RecordBatch) -> Bools:
        """Which rows it drops; the dear questions are asked last and of the rows that are left."""
        rule = self._rule
        found = np.ones(batch.num_rows, bool)
        if self._entity is not None:
            entity = self._entity
            found &= _by_word(batch.column("entity"), lambda word: entity.fullmatch(word) is not None)
        if rule.below and rule.signal is Signal.LOGS:
            severity = batch.column("severity").to_numpy()
            found &= (severity > 0) & (severity < rule.below)
        if self._match is not None:
            match = self._match
            column = batch.column(_TEXT[rule.signal])
            words = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
            found &= _by_word(words, lambda word: match.search(word) is not None)
        for name, pattern in self._attributes.items():
            found = _by_attribute(batch.column("attributes"), found, name, pattern)
        return found


def _without(batch: pa.RecordBatch, rules: Sequence[_Drop]) -> tuple[pa.RecordBatch, Counter[str]]:
    """The rows that no rule drops; of two rules that would, the first counts."""
    kept = np.ones(batch.num_rows, bool)
    dropped: Counter[str] = Counter()
    for rule in rules:
        gone = rule.mask(batch) & kept
        if count := int(gone.sum()):
            dropped[rule.reason] += count
            kept &= ~gone
    return (batch.filter(pa.array(kept)) if dropped else batch), dropped


def _by_word(column: pa.DictionaryArray, test: Callable[[str], bool]) -> Bools:
    """A test of each word of a dictionary, for all rows."""
    words: Bools = np.array([test(word) for word in column.dictionary.to_pylist()], bool)
    found: Bools = words[column.indices.to_numpy()] if len(words) else np.zeros(len(column), bool)
    return found


def _by_attribute(column: pa.Array, asked: Bools, name: str, pattern: re.Pattern[str]) -> Bools:
    """Of the rows that are asked, those whose attribute's text the pattern matches as a whole."""
    named = pc.match_substring(column, orjson.dumps(name).decode() + ":").to_numpy(zero_copy_only=False)
    found: Bools = asked & named
    for row in np.flatnonzero(found).tolist():
        value = orjson.loads(column[row].as_py()).get(name)
        text = value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
        found[row] = pattern.fullmatch(text) is not None
    return found
