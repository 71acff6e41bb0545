"""Whether templates are found by questions in other words: 100 questions in `queries.tsv`, over all systems at once.

A question counts as answered when one of the first five templates is one that holds most of the lines of the label it
was written for. The questions were written from the labels before the search was first run on them; its thesaurus and
weights were then made better with them in view. `queries-fresh.tsv` was written after that and changed nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.logs.data import System
from twofold.aiops.detect.mining.miner import Miner
from twofold.aiops.detect.mining.search import TemplateIndex

QUESTIONS: Final = Path(__file__).with_name("queries.tsv")
FRESH: Final = Path(__file__).with_name("queries-fresh.tsv")
FIRST: Final = 5

Question = tuple[str, str, str]


def questions(path: Path = QUESTIONS) -> list[Question]:
    """System, beginning of the label, question."""
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return [(system, label, question) for system, label, question in rows]


def answered(systems: Sequence[System], path: Path = QUESTIONS) -> dict[str, bool]:
    """Per question of these systems, whether its template is among the first five."""
    miner, holds = Miner(), {}
    mined = [(system, miner.feed_texts(system.content)) for system in systems]
    for system, given in mined:
        ids = miner.settled(given).tolist()
        for label in set(system.truth):
            lines = Counter(found for found, true in zip(ids, system.truth, strict=True) if true == label)
            holds[system.name, label] = lines.most_common(1)[0][0]
    index = TemplateIndex({identity: template.text() for identity, template in miner.book.templates.items()})
    found = {}
    for name, label, question in questions(path):
        right = {identity for (system, true), identity in holds.items() if system == name and true.startswith(label)}
        if right:
            found[question] = bool(right & {identity for identity, _ in index.search(question, FIRST)})
    return found


def figures(systems: Sequence[System]) -> dict[str, float]:
    """Recall among the first five, and how many questions these systems can answer."""
    found, fresh = answered(systems), answered(systems, FRESH)
    if not found or not fresh:
        return {}
    return {
        "search_recall_at_5": sum(found.values()) / len(found),
        "search_fresh_recall_at_5": sum(fresh.values()) / len(fresh),
        "search_questions": len(found),
    }
