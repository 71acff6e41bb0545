"""Long streams made of labelled lines: the templates and their frequencies stay true, what varies varies more."""

from __future__ import annotations

import random
import re
import string
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.logs.data import System

OTHER_VALUE: Final = 0.7
NEW_WORD: Final = 0.1
OTHER_LENGTH: Final = 0.2
LONGEST_BLOCK: Final = 40
_PIECE: Final = re.compile(
    r"(?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}\b)|(?P<hex>(?:0x)?(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{4,})|(?P<number>\d+)"
)
_LETTERS: Final = re.compile(r"[A-Za-z]{3,}")


@dataclass(frozen=True, slots=True)
class Parts:
    """A line as the texts of its template and the values between them."""

    template: str
    texts: tuple[str, ...]
    values: tuple[str, ...]


def parts(line: str, template: str) -> Parts | None:
    """The line's values, or None when it does not fit its label."""
    texts = template.split("<*>")
    pattern = "(.*?)".join(re.escape(text).replace(r"\ ", r"\s+") for text in texts)
    found = re.fullmatch(pattern, line.strip(), re.DOTALL)
    return Parts(template, tuple(texts), found.groups()) if found else None


class Expander:
    """Draws lines of one system.

    Each line is one of the labelled lines with its values rewritten: a slot that holds words takes another value of
    its slot (p = 0.7) or a word never seen before (p = 0.1); addresses, hexadecimal numbers and numbers are drawn anew.
    """

    def __init__(self, system: System, seed: int = 0) -> None:
        self._random = random.Random(f"{system.name}/{seed}")  # noqa: S311 - no secret
        self._lines = [
            parts(line, label) or Parts(label, (line,), ())
            for line, label in zip(system.content, system.truth, strict=True)
        ]
        pools: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)
        for line in self._lines:
            for slot, value in enumerate(line.values):
                pools[line.template, slot][value] = None
        self._pools = {key: tuple(values) for key, values in pools.items()}
        self._words = {key for key, values in pools.items() if len({re.sub(r"\d", "0", value) for value in values}) > 1}

    def draw(self) -> tuple[str, str]:
        """A line and its template."""
        line = self._random.choice(self._lines)
        text = [line.texts[0]]
        for slot, value in enumerate(line.values):
            text += (self._value(line.template, slot, value), line.texts[slot + 1])
        return "".join(text), line.template

    def _value(self, template: str, slot: int, value: str) -> str:
        if (template, slot) in self._words:
            chance = self._random.random()
            if chance < OTHER_VALUE:
                value = self._random.choice(self._pools[template, slot])
            elif chance < OTHER_VALUE + NEW_WORD:
                ending = "".join(self._random.choices(string.ascii_lowercase, k=self._random.randint(2, 5)))
                value = _LETTERS.sub(lambda found: found.group() + ending, value, count=1)
        return _PIECE.sub(self._piece, value)

    def _piece(self, found: re.Match[str]) -> str:
        pick = self._random
        if found["ip"]:
            return ".".join(str(pick.randint(1, 254)) for _ in range(4))
        text = found.group()
        if found["hex"]:
            start, digits = (text[:2], text[2:]) if text.startswith("0x") else ("", text)
            return start + "".join(pick.choices("0123456789abcdef", k=len(digits)))
        length = len(text)
        if pick.random() < OTHER_LENGTH:
            length = max(1, length + pick.choice((-1, 1)))
        return str(pick.randint(10 ** (length - 1) if length > 1 else 0, 10**length - 1))


def mixed(systems: Sequence[System], lines: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """A stream of all systems in blocks of 1 to 40 lines, as many of each: lines and `system/template`."""
    order = random.Random(f"mixed/{seed}")  # noqa: S311 - no secret
    left = {system.name: lines // len(systems) for system in systems}
    expanders = {system.name: Expander(system, seed) for system in systems}
    out: list[tuple[str, str]] = []
    while left:
        name = order.choice(sorted(left))
        size = min(order.randint(1, LONGEST_BLOCK), left[name])
        out += ((text, f"{name}/{template}") for text, template in (expanders[name].draw() for _ in range(size)))
        left[name] -= size
        if not left[name]:
            del left[name]
    return out
