"""Finds templates by what they mean: stems, groups of related words and phrases, and parts of words, by rarity."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from math import log
from typing import Final, NamedTuple, Protocol

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
_ABOUT: Final = 0.5  # what a word about a template counts
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
    """Groups of `thesaurus.txt` by the stems of their words; those of a phrase are joined by `_`."""
    found: dict[str, list[str]] = defaultdict(list)
    lines = resources.files("twofold.aiops.detect.mining").joinpath("thesaurus.txt").read_text().splitlines()
    for number, line in enumerate(line for line in lines if line and not line.startswith("#")):
        for root in dict.fromkeys("_".join(map(stem, entry.split("_"))) for entry in line.split()):
            found[root].append(f"#{number}")
    return {word: tuple(numbers) for word, numbers in found.items()}


def _words(text: str) -> list[str]:
    """All words in order, in lower case; identifiers are taken apart."""
    return [match.lower() for match in _WORD.findall(text.replace("<*>", " "))]


def spoken(text: str) -> str:
    """A template as a sentence: identifiers taken apart, values left out.

    >>> spoken("setLightsOn(<*>)")
    'set lights on'
    """
    return " ".join(_words(text)) or text


def roots(text: str) -> list[str]:
    """Stems of the words that carry meaning; identifiers are taken apart.

    >>> roots("turned off the notificationLight of <*>")
    ['turn', 'off', 'notific', 'light']
    """
    return list(dict.fromkeys(stem(word) for word in _words(text) if len(word) > 1 and word not in _STOP))


def phrases(text: str) -> list[str]:
    """Phrases of two or three words that the thesaurus knows, as their stems.

    >>> phrases("who has logged in since the timer ran out of memory")
    ['log_in', 'out_of', 'out_of_memory']
    """
    stems = [stem(word) for word in _words(text)]
    runs = ("_".join(stems[at : at + size]) for at in range(len(stems)) for size in (2, 3) if at + size <= len(stems))
    return list(dict.fromkeys(run for run in runs if run in _groups()))


def _parts(root: str) -> list[str]:
    return [f"~{root[i : i + _PART_LETTERS]}" for i in range(len(root) - _PART_LETTERS + 1)]


class Found(NamedTuple):
    """A template that answers a question.

    Attributes:
        nearness: Comparable within one answer only.
    """

    id: int
    nearness: float


class Search(Protocol):
    """Ranks templates by nearness to a question."""

    def search(self, question: str, most: int = 5) -> list[Found]:
        """The nearest templates, best first; those that share nothing are left out."""
        ...


class TemplateIndex:
    """Templates ranked by nearness to a question in plain words.

    Each word or known phrase of the question counts once per template: as itself, as a related word, or by the parts
    it shares, whichever counts most, times how rare that is. Words about a template (who writes it, how
    severe it is, values seen in it) count half. Suits some tens of thousands of templates. Knows no word beyond the
    templates' own and the thesaurus: what only an expert would connect is not found.

    Args:
        texts: Template text by id.
        about: Further words by id, such as entity and severity.

    >>> index = TemplateIndex({1: "session opened for user <*>", 2: "disk <*> is full", 3: "fan ok"})
    >>> [found.id for found in index.search("no space left on drive", 1)]
    [2]

    Source: soft TF-IDF, Cohen, Ravikumar, Fienberg (2003), "A Comparison of String Distance Metrics"; fields and the
    length norm as in BM25F, Robertson, Zaragoza, Taylor (2004).
    """

    def __init__(self, texts: Mapping[int, str], about: Mapping[int, str] | None = None) -> None:
        self._ids = np.array(list(texts), np.int64)
        sizes = np.ones(len(texts))
        postings: dict[str, dict[int, float]] = defaultdict(dict)
        for number, (identity, text) in enumerate(texts.items()):
            words = roots(text)
            sizes[number] = max(len(words), 1)
            for term in roots((about or {}).get(identity, "")):
                postings[term][number] = _ABOUT
            for term in _terms(text, words):
                postings[term][number] = 1.0
        self._postings = {
            term: (np.fromiter(rows, np.int64, len(rows)), np.fromiter(rows.values(), np.float64, len(rows)))
            for term, rows in postings.items()
        }
        self._idf = {term: log(1 + len(texts) / len(rows)) for term, rows in postings.items()}
        self._norm = (1 - _LENGTH + _LENGTH * sizes / sizes.mean()) ** -0.5 if len(texts) else sizes

    def search(self, question: str, most: int = 5) -> list[Found]:
        """The nearest templates, best first; those that share nothing are left out."""
        near = np.zeros(len(self._ids))
        for word in roots(question):
            near += self._nearness(word)
        for phrase in phrases(question):
            near += self._best(_related(phrase))
        near *= self._norm
        order = np.argsort(-near, kind="stable")[:most]
        return [Found(int(self._ids[i]), float(near[i])) for i in order if near[i] > 0]

    def _best(self, related: Iterable[str]) -> npt.NDArray[np.float64]:
        best = np.zeros(len(self._ids))
        for term in related:
            self._raise(best, term, _RELATED)
        return best

    def _nearness(self, word: str) -> npt.NDArray[np.float64]:
        """What one word of a question counts, per template."""
        shared, parts = np.zeros(len(self._ids)), _parts(word)
        for part in parts:
            self._raise(shared, part, 1 / len(parts), add=True)
        best = np.maximum(_SIMILAR * shared, self._best(_related(word)))
        self._raise(best, word, 1.0)
        return best

    def _raise(self, to: npt.NDArray[np.float64], term: str, weight: float, *, add: bool = False) -> None:
        if term in self._postings:
            rows, weights = self._postings[term]
            value = weight * weights * self._idf[term]
            to[rows] = to[rows] + value if add else np.maximum(to[rows], value)


def _terms(text: str, words: Iterable[str]) -> Iterator[str]:
    """What a template is found by: its words and their groups and parts, its phrases' groups."""
    for word in words:
        yield word
        yield from _related(word)
        yield from _parts(word)
    for phrase in phrases(text):
        yield from _related(phrase)


def _related(word: str) -> tuple[str, ...]:
    return _groups().get(word, ())


def containing(texts: Mapping[int, str], part: str) -> list[int]:
    """Ids of templates whose text holds a part, whatever its case."""
    wanted = part.casefold()
    return [identity for identity, text in texts.items() if wanted in text.casefold()]
