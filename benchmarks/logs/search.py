"""Whether templates are found by questions in other words, over all systems at once.

A question counts as answered when one of the first five templates is one that holds most of the lines of the label it
was written for. All questions were written from the labels, before the search was run on them. In view when thesaurus
and weights were made better: `queries.tsv` (100) and `queries-tuned.tsv` (60). Not in view: `queries-fresh.tsv` (42)
and `queries-held.tsv` (41, drawn by hash from those that the tuned ones were written with).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.logs.data import System
from twofold.aiops.detect.mining.embed import MeaningIndex, OnnxEncoder
from twofold.aiops.detect.mining.miner import Miner
from twofold.aiops.detect.mining.search import Search, TemplateIndex

SETS: Final = ("", "tuned", "held", "fresh")
FIRST: Final = 5

Question = tuple[str, str, str]


def questions(name: str) -> list[Question]:
    """System, beginning of the label, question."""
    path = Path(__file__).with_name("-".join(filter(None, ("queries", name))) + ".tsv")
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return [(system, label, question) for system, label, question in rows]


def mined(systems: Sequence[System]) -> tuple[dict[int, str], dict[tuple[str, str], int]]:
    """Text by template id, and by system and label the template that holds most of its lines."""
    miner, holds = Miner(), {}
    for system, given in [(system, miner.feed_texts(system.content)) for system in systems]:
        ids = miner.settled(given).tolist()
        for label in set(system.truth):
            lines = Counter(found for found, true in zip(ids, system.truth, strict=True) if true == label)
            holds[system.name, label] = lines.most_common(1)[0][0]
    return {identity: template.text() for identity, template in miner.book.templates.items()}, holds


def answered(index: Search, holds: Mapping[tuple[str, str], int], name: str) -> list[bool]:
    """Per question that these systems can answer, whether its template is among the first five."""
    found = []
    for system, label, question in questions(name):
        right = {identity for (of, true), identity in holds.items() if of == system and true.startswith(label)}
        if right:
            found.append(not right.isdisjoint(one.id for one in index.search(question, FIRST)))
    return found


def figures(systems: Sequence[System], model: Path | None = None) -> dict[str, float]:
    """Recall among the first five per set, how many questions these systems can answer, milliseconds a question.

    Args:
        systems: Their lines are mined together.
        model: Folder of an embedding model; its figures stand beside those of the search by words.
    """
    texts, holds = mined(systems)
    indexes: dict[str, Search] = {"search": TemplateIndex(texts)}
    if model is not None:
        indexes["search_model"] = MeaningIndex(texts, OnnxEncoder(model))
    found: dict[str, float] = {}
    for kind, index in indexes.items():
        begin, asked = time.process_time(), 0
        for name in SETS:
            right = answered(index, holds, name)
            asked += len(right)
            if right:
                found["_".join(filter(None, (kind, name, "recall_at_5")))] = sum(right) / len(right)
        if asked:
            found[f"{kind}_ms"] = 1e3 * (time.process_time() - begin) / asked
            found["search_questions"] = asked
    return found
