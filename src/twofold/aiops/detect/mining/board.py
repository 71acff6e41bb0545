"""Beside the flow: what the stages have mined so far, for pages and commands that ask.

A stage learns on its thread; who asks waits for it for as long as it reads a batch, and then the stage waits as long as
its templates are copied (10 µs each).
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol
from weakref import WeakSet

from twofold.aiops.detect.mining.embed import Encoder, Floats, MeaningIndex
from twofold.aiops.detect.mining.search import Found, Search, TemplateIndex
from twofold.aiops.detect.mining.template import STAR
from twofold.records.template import LogTemplate, TemplateUse

_ANEW_S: Final = 10.0
_WHITE: Final = re.compile(r"\s+")
_CUT: Final = " …"  # `miner` shows so what it did not read


class Source(Protocol):
    """What has mined templates of one tenant."""

    @property
    def tenant(self) -> str:
        """Whose lines it reads."""
        ...

    def templates(self) -> Sequence[LogTemplate]:
        """All that it knows now."""
        ...


class Board:
    """Templates of all partitions and lanes, found by id, part or meaning.

    What two sources say of one entity's use of one template is about the same lines (a lane that took over what another
    has learnt): the larger count holds.

    Args:
        encoder: A model of meaning beside the words.
        clock: Monotonic seconds: an index is made anew at most every `_ANEW_S` of it.
    """

    def __init__(self, encoder: Encoder | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._encoder, self._clock = encoder, clock
        self._sources: WeakSet[Source] = WeakSet()
        self._lock = threading.Lock()
        self._made: dict[str, tuple[float, int, Search]] = {}
        self._vectors: dict[str, Floats] = {}

    @property
    def by_model(self) -> bool:
        """Whether a model of meaning takes part in the search."""
        return self._encoder is not None

    def attach(self, source: Source) -> None:
        """Ask this one too, for as long as somebody else holds it."""
        with self._lock:
            self._sources.add(source)

    def templates(self, tenant: str) -> Sequence[LogTemplate]:
        """All templates with a line, the most lines first."""
        with self._lock:
            sources = [source for source in self._sources if source.tenant == tenant]
        merged = _merged(one for source in sources for one in source.templates())
        return sorted(merged, key=lambda one: (-one.lines, one.id))

    def search(self, question: str, templates: Sequence[LogTemplate], *, tenant: str) -> list[Found]:
        """All of the tenant's templates that share something with a question in plain words, the nearest first."""
        return self._index(templates, tenant).search(question, len(templates))

    def _index(self, templates: Sequence[LogTemplate], tenant: str) -> Search:
        with self._lock:
            now, texts = self._clock(), {int(one.id, 16): one.text for one in templates}
            made_at, content, index = self._made.get(tenant, (-_ANEW_S, 0, None))
            fresh = hash(frozenset(texts.items()))
            if index is None or (content != fresh and now - made_at >= _ANEW_S):
                about = {int(one.id, 16): _about(one) for one in templates}
                index = self._built(texts, about)
                self._made[tenant] = (now, fresh, index)
            return index

    def _built(self, texts: Mapping[int, str], about: Mapping[int, str]) -> Search:
        if self._encoder is None:
            return TemplateIndex(texts, about)
        self._vectors = {text: self._vectors[text] for text in texts.values() if text in self._vectors}
        return MeaningIndex(texts, self._encoder, about, vectors=self._vectors)


def _about(template: LogTemplate) -> str:
    """Words about a template: who writes it, how severe it is, what its first line held."""
    return " ".join((*(use.entity for use in template.uses), severity_word(template.severity), template.example))


def severity_word(severity: int) -> str:
    """OpenTelemetry's SeverityNumber as its short word, empty for unknown.

    >>> severity_word(17), severity_word(0)
    ('error', '')
    """
    words = ("trace", "debug", "info", "warn", "error", "fatal")
    return words[min((severity - 1) // 4, len(words) - 1)] if severity > 0 else ""


def _merged(templates: Iterable[LogTemplate]) -> list[LogTemplate]:
    """One a template, with the larger count of each entity."""
    first: dict[str, LogTemplate] = {}
    forms: dict[str, dict[str, None]] = defaultdict(dict)
    uses: dict[str, dict[str, TemplateUse]] = defaultdict(dict)
    for one in templates:
        first.setdefault(one.id, one)
        forms[one.id].update(dict.fromkeys(one.forms))
        for use in one.uses:
            known = uses[one.id].get(use.entity)
            if known is None or use.lines > known.lines:
                uses[one.id][use.entity] = use
    return [
        LogTemplate(
            id=one.id,
            text=one.text,
            example=one.example,
            forms=tuple(forms[one.id]),
            uses=tuple(sorted(uses[one.id].values(), key=lambda use: (-use.lines, use.entity))),
            tenant=one.tenant,
        )
        for one in first.values()
    ]


def pattern_of(forms: Iterable[str]) -> re.Pattern[str]:
    r"""What a template's lines match, by the texts of its forms.

    >>> bool(pattern_of(["user <*> left"]).fullmatch("user  bob left")), pattern_of(["disk <*>"]).match("user bob left")
    (True, None)
    """
    return re.compile("|".join(f"(?:{_pattern(form)})" for form in forms), re.DOTALL)


def _pattern(form: str) -> str:
    whole, _, rest = form.partition(_CUT)
    constants = (_WHITE.sub(r"\\s+", re.escape(part).replace(r"\ ", " ")) for part in whole.split(STAR))
    return r"\s*" + ".*?".join(constants) + (".*" if rest or _CUT in form else r"\s*")


def longest_constant(forms: Sequence[str]) -> str:
    """A text that all lines of a template hold; empty when its forms share none.

    >>> longest_constant(["session opened for user <*> by <*>"])
    'session opened for user'
    """
    parts = (piece for part in forms[0].partition(_CUT)[0].split(STAR) for piece in _WHITE.split(part)) if forms else ()
    if len(forms) == 1:
        parts = (part.strip() for part in forms[0].partition(_CUT)[0].split(STAR))
    held = (part for part in parts if all(part in form for form in forms))
    return max(held, key=len, default="")
