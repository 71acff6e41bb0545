"""Finds templates by what they mean: TF-IDF over stems, parts of words, and a small thesaurus of operations."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from math import log, sqrt
from typing import Final

import numpy as np

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ENDINGS: Final = ("izations", "ization", "ations", "ation", "ements", "ement", "ings", "ing", "ied", "ies", "ions", "ion",
                   "ers", "er", "ors", "or", "ed", "es", "ly", "s", "e")  # fmt: skip
_SHORTEST_STEM: Final = 3
_STOP: Final = frozenset(
    ["a", "an", "and", "are", "as", "at", "be", "been", "by", "for", "from", "has", "have", "in", "is", "it", "its", "of", "on", "or", "that", "the", "this", "to", "was", "were"]
)
_RELATED: Final = """
fail failed failure error fault faulty unsuccessful crash crashed broken problem unable cannot could bad wrong trouble died
start starting begin launch initialize init boot startup spawn opened bring up
stop end terminate kill shutdown exit destroy halt quit finish complete done over close closed
login logon signin sign authenticate authentication credential password pass log
user account person owner caller who
connect connection link socket session peer conversation attach
disconnect sever drop lost reset hang broken closed unregister
remove delete erase purge unlink drop clean clear discard evict
create add make allocate allocation new insert build generate define
receive get fetch accept incoming read obtain retrieve download
send transmit push deliver outgoing reply respond write upload serve post
memory ram heap mem cache buffer
disk storage volume filesystem drive space file directory folder
cpu processor core vcpu compute
network net nic interface ethernet torus tree wire
slow late delay expire timeout wait hang stall lag
correct repair fix heal recover restore
interrupt irq exception trap signal
screen display brightness light lcd dim window visible show view ui
suspend sleep pause standby idle freeze
resume wake awake unpause continue
sound audio music ringtone speaker media
step walk pedometer stand walking foot sport
replica copy duplicate replicate transfer mirror move transition
update change modify set refresh alter switch
find found locate discover detect see lookup check verify examine
missing absent lack without no not nothing unknown none empty unavailable
deny denied reject refuse forbid permission forbidden block blocked unauthorized allow prohibit
task job attempt work process program application app container
host machine server node computer box
image picture base snapshot
instance vm virtual guest
kernel os system
battery power charge energy
notification alert message notice alarm warn warning
health fitness body
device hardware peripheral usb driver
request query call ask claim
limit maximum quota cap bound unlimited threshold
exhaust full exceed overflow out
schedule plan assign queue timer
configuration config setting property parameter option
cluster group pool
version release revision
broadcast publish announce emit event
synchronize sync coordinate consistent
retry again repeat attempt
""".strip().splitlines()
_EXACT, _STEM, _RELATED_WEIGHT, _PART = 1.0, 1.0, 0.5, 0.25
_PART_LETTERS: Final = 4


def stem(word: str) -> str:
    """The word without its ending.

    >>> stem("connections"), stem("connected"), stem("starting")
    ('connect', 'connect', 'start')
    """
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)]
    return word


def _groups() -> Mapping[str, tuple[int, ...]]:
    found: dict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(_RELATED):
        for word in line.split():
            found[stem(word)].append(number)
    return {word: tuple(numbers) for word, numbers in found.items()}


_GROUP: Final = _groups()


def terms(text: str) -> Counter[str]:
    """What a text is about: stems, the groups of related words they belong to, and parts of longer words."""
    found: Counter[str] = Counter()
    for word in (match.lower() for match in _WORD.findall(text.replace("<*>", " "))):
        if word in _STOP:
            continue
        root = stem(word)
        found[root] += 1
        for group in _GROUP.get(root, ()):
            found[f"#{group}"] += 1
        found.update(f"~{root[i : i + _PART_LETTERS]}" for i in range(len(root) - _PART_LETTERS + 1))
    return found


def _weight(term: str) -> float:
    return {"#": _RELATED_WEIGHT, "~": _PART}.get(term[0], _STEM)


class TemplateIndex:
    """Templates ranked by nearness to a question in plain words.

    Suits some tens of thousands of templates; knows no word beyond the templates' own and the thesaurus.

    Args:
        texts: Template text by id.

    >>> index = TemplateIndex({1: "session opened for user <*>", 2: "disk <*> is full"})
    >>> index.search("no space left on drive", 1)
    [(2, 0.44)]
    """

    def __init__(self, texts: Mapping[int, str]) -> None:
        self._ids = np.array(list(texts), np.int64)
        counted = [terms(text) for text in texts.values()]
        spread = Counter(term for each in counted for term in each)
        self._idf = {term: log(1 + len(counted) / many) for term, many in spread.items()}
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, each in enumerate(counted):
            for term, weight in self._weighted(each).items():
                postings[term].append((number, weight))
        self._postings = {
            term: (np.array([n for n, _ in rows]), np.array([w for _, w in rows])) for term, rows in postings.items()
        }

    def _weighted(self, counted: Counter[str]) -> dict[str, float]:
        raw = {t: _weight(t) * (1 + log(n)) * self._idf[t] for t, n in counted.items() if t in self._idf}
        norm = sqrt(sum(weight * weight for weight in raw.values())) or 1.0
        return {term: weight / norm for term, weight in raw.items()}

    def search(self, question: str, most: int = 5) -> list[tuple[int, float]]:
        """Ids and nearness (0 to 1) of the nearest templates, best first; those that share nothing are left out."""
        near = np.zeros(len(self._ids))
        for term, weight in self._weighted(terms(question)).items():
            rows, weights = self._postings[term]
            near[rows] += weight * weights
        order = np.argsort(-near, kind="stable")[:most]
        return [(int(self._ids[i]), round(float(near[i]), 2)) for i in order if near[i] > 0]


def containing(texts: Mapping[int, str], part: str) -> Iterable[int]:
    """Ids of templates whose text holds a part, whatever its case."""
    wanted = part.casefold()
    return [identity for identity, text in texts.items() if wanted in text.casefold()]
