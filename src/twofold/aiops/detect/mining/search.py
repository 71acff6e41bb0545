"""Finds templates by what they mean: stems, groups of related words, and parts of words, weighed by rarity."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from importlib import resources
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ENDINGS: Final = (
    *("izations", "ization", "ations", "ation", "ements", "ement", "ings", "ing", "ied", "ies", "ions", "ion"),
    *("ers", "er", "ors", "or", "ed", "es", "ly", "al", "s", "e"),
)
_SHORTEST_STEM: Final = 3
_STOP: Final = frozenset(
    """
    a an and are as at be been by for from has have in is it its of or that the this to was were with which be being
    """.split()  # noqa: SIM905 - a list of words reads as words
)
_RELATED: Final = 0.9  # what a related word counts, where the word itself counts 1
_SIMILAR: Final = 0.4  # and a word that shares all its parts
_LENGTH: Final = 0.7  # how much a long template is held back
_PART_LETTERS: Final = 4
_DOUBLED: Final = "bdgmnprt"  # stopped, running: the ending doubles these


def stem(word: str) -> str:
    """The word without its ending.

    >>> stem("connections"), stem("connected"), stem("starting"), stem("stopped")
    ('connect', 'connect', 'start', 'stop')
    """
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word[: -len(ending)]
            break
    doubled = len(word) > _SHORTEST_STEM and word[-1] == word[-2] and word[-1] in _DOUBLED
    return word[:-1] if doubled else word


@cache
def _groups() -> Mapping[str, tuple[str, ...]]:
    """Groups of `thesaurus.txt` by the stems of their words."""
    found: dict[str, list[str]] = defaultdict(list)
    lines = resources.files("twofold.aiops.detect.mining").joinpath("thesaurus.txt").read_text().splitlines()
    for number, line in enumerate(line for line in lines if line and not line.startswith("#")):
        for root in dict.fromkeys(stem(word) for word in line.split()):
            found[root].append(f"#{number}")
    return {word: tuple(numbers) for word, numbers in found.items()}


def roots(text: str) -> list[str]:
    """Stems of the words that carry meaning; identifiers are taken apart.

    >>> roots("turned off the notificationLight of <*>")
    ['turn', 'off', 'notific', 'light']
    """
    words = (match.lower() for match in _WORD.findall(text.replace("<*>", " ")))
    return list(dict.fromkeys(stem(word) for word in words if len(word) > 1 and word not in _STOP))


def _parts(root: str) -> list[str]:
    return [f"~{root[i : i + _PART_LETTERS]}" for i in range(len(root) - _PART_LETTERS + 1)]


class TemplateIndex:
    """Templates ranked by nearness to a question in plain words.

    Each word of the question counts once per template: as itself, as a related word, or by the parts it shares,
    whichever counts most, times how rare that is. Suits some tens of thousands of templates. Knows no word beyond
    the templates' own and the thesaurus: what only an expert would connect is not found.

    Args:
        texts: Template text by id.

    >>> index = TemplateIndex({1: "session opened for user <*>", 2: "disk <*> is full", 3: "fan ok"})
    >>> [identity for identity, _ in index.search("no space left on drive", 1)]
    [2]

    Source: soft TF-IDF, Cohen, Ravikumar, Fienberg (2003), "A Comparison of String Distance Metrics"; the length
    norm is that of BM25.
    """

    def __init__(self, texts: Mapping[int, str]) -> None:
        self._ids = np.array(list(texts), np.int64)
        sizes = np.ones(len(texts))
        postings: dict[str, dict[int, None]] = defaultdict(dict)
        for number, text in enumerate(texts.values()):
            words = roots(text)
            sizes[number] = max(len(words), 1)
            for term in (each for word in words for each in (word, *_related(word), *_parts(word))):
                postings[term][number] = None
        self._postings = {term: np.array(list(rows)) for term, rows in postings.items()}
        self._idf = {term: log(1 + len(texts) / len(rows)) for term, rows in postings.items()}
        self._norm = (1 - _LENGTH + _LENGTH * sizes / sizes.mean()) ** -0.5 if len(texts) else sizes

    def search(self, question: str, most: int = 5) -> list[tuple[int, float]]:
        """Ids and nearness of the nearest templates, best first; those that share nothing are left out."""
        near = np.zeros(len(self._ids))
        for word in roots(question):
            near += self._nearness(word)
        near *= self._norm
        order = np.argsort(-near, kind="stable")[:most]
        return [(int(self._ids[i]), float(near[i])) for i in order if near[i] > 0]

    def _nearness(self, word: str) -> npt.NDArray[np.float64]:
        """What one word of a question counts, per template."""
        best, shared = np.zeros(len(self._ids)), np.zeros(len(self._ids))
        parts = _parts(word)
        for part in parts:
            self._raise(shared, part, 1 / len(parts), add=True)
        best = _SIMILAR * shared
        for term in _related(word):
            self._raise(best, term, _RELATED)
        self._raise(best, word, 1.0)
        return best

    def _raise(self, to: npt.NDArray[np.float64], term: str, weight: float, *, add: bool = False) -> None:
        rows = self._postings.get(term)
        if rows is not None:
            value = weight * self._idf[term]
            to[rows] = to[rows] + value if add else np.maximum(to[rows], value)


def _related(word: str) -> tuple[str, ...]:
    return _groups().get(word, ())


def containing(texts: Mapping[int, str], part: str) -> list[int]:
    """Ids of templates whose text holds a part, whatever its case."""
    wanted = part.casefold()
    return [identity for identity, text in texts.items() if wanted in text.casefold()]
