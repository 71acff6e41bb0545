"""Labels and annotations of alerts: Go's templates, as far as alerts use them.

Values (`$value`, `$labels.x`, `.Labels.x`), pipelines, `if`, comparisons, `printf` and Prometheus's functions of text
and numbers. What asks the server again (`query`, `range` over its answer) is not filled in here.

Source: Go's text/template; Prometheus's documentation of templates, and its `template.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from twofold.aiops.detect.rules.words import FUNCTIONS, shown
from twofold.errors import InputError, Unsupported

Word = str | float | bool
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"""
    r"""|(?P<name>[$.]?\w+(?:\.\w+)*|\$|\.)|(?P<mark>[()|]))"""
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t"}
_LONGEST: Final = 10_000
_DEEPEST: Final = 20
_HEADS: Final = frozenset({"$labels", ".Labels"})
_EXTERNAL: Final = frozenset({"$externalLabels", ".ExternalLabels"})
_VALUES: Final = frozenset({"$value", ".Value"})
_NAMED: Final[Mapping[str, Word]] = {"true": True, "false": False, "$externalURL": "", ".ExternalURL": ""}


@dataclass(frozen=True, slots=True)
class Given:
    """What a template is filled in with: an alert's labels, and the value of its expression."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class _Part:
    """Text between actions, or an action."""

    text: str
    action: bool


@lru_cache(2048)
def uses_value(template: str) -> bool:
    """Whether the text may change with the value.

    >>> uses_value("{{ $labels.job }} at {{ $value | humanize }}"), uses_value("{{ $labels.value }}")
    (True, False)
    """
    with suppress(Unsupported):
        return any(part.action and re.search(r"\$value\b|\.Value\b", part.text) for part in _parts(template))
    return False


@lru_cache(2048)
def problem(template: str) -> str:
    """Why a template cannot be filled in here; empty for one that can.

    >>> problem("{{ $labels.job }}"), problem("{{ query `up` }}")
    ('', '`query` is not filled in here')
    """
    try:
        _fill(template, Given({}, 1.0))
    except Unsupported as error:
        return error.message
    return ""


def fill(template: str, given: Given) -> str:
    """The text; a template that cannot be filled in, or not with this value, stands as it was written.

    >>> fill("{{ $labels.job }}: {{ $value | humanizePercentage }}", Given({"job": "cart"}, 0.125))
    'cart: 12.5%'
    """
    if "{{" not in template or problem(template):
        return template
    try:
        return _fill(template, given)
    except Unsupported:
        return template


def _fill(template: str, given: Given) -> str:
    """The text of the branches that are taken. Raises `Unsupported`."""
    out: list[str] = []
    taken: list[list[bool]] = []  # for each open `if`: whether this branch is taken, whether one was
    for part in _parts(template):
        word, _, rest = part.text.partition(" ")
        if part.action and word in ("if", "else", "end"):
            _branch(taken, word, rest.strip(), given)
        elif all(now for now, _ in taken) or part.action:
            text = part.text if not part.action else shown(_pipeline(_tokens(part.text), given))
            out.append(text if all(now for now, _ in taken) else "")
    if taken:
        raise Unsupported("an `if` has no `end`")
    return "".join(out)


def _branch(taken: list[list[bool]], word: str, rest: str, given: Given) -> None:
    """Open, change or close an `if`. Raises `Unsupported`."""
    if word == "if":
        true = bool(_pipeline(_tokens(rest), given))
        taken.append([true, true])
        return
    if not taken:
        raise Unsupported(f"`{word}` without `if`")
    if word == "end":
        taken.pop()
        return
    asked = rest.removeprefix("if").strip()
    true = not taken[-1][1] and (not rest or bool(_pipeline(_tokens(asked), given)))
    taken[-1] = [true, taken[-1][1] or true]


@lru_cache(2048)
def _parts(template: str) -> Sequence[_Part]:
    """Text and actions in turn; `-` at an action's mark takes the white space beside it, a comment is nothing.

    Raises:
        Unsupported: It is longer than `_LONGEST`.
    """
    if len(template) > _LONGEST:
        raise Unsupported(f"{len(template)} characters, at most {_LONGEST} are filled in")
    parts: list[_Part] = []
    at, trim = 0, False
    while (begin := template.find("{{", at)) >= 0 and (end := template.find("}}", begin + 2)) >= 0:
        text, action = template[at:begin], template[begin + 2 : end]
        before, after = action[:1] == "-" and action[1:2].isspace(), action[-1:] == "-" and action[-2:-1].isspace()
        action = action[1 if before else 0 : -1 if after else None].strip()
        text = text.lstrip() if trim else text
        parts.append(_Part(text.rstrip() if before else text, action=False))
        if not action.startswith("/*"):
            parts.append(_Part(action, action=True))
        at, trim = end + 2, after
    rest = template[at:]
    parts.append(_Part(rest.lstrip() if trim else rest, action=False))
    return parts


def _tokens(text: str) -> list[str]:
    """Raises `Unsupported`."""
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Unsupported(f"`{text[at:].split()[0]}` is not filled in here")
        tokens.append(found[found.lastgroup or "mark"])
        at = found.end()
    if tokens.count("(") > _DEEPEST:
        raise Unsupported(f"more than {_DEEPEST} parentheses")
    return tokens


def _pipeline(tokens: list[str], given: Given) -> Word:
    """Commands one behind the other, each given the last one's result as its last argument. Raises `Unsupported`."""
    last: list[Word] = []
    for command in _split(tokens):
        last = [_command(command, given, last)]
    if not last:
        raise Unsupported("an empty action")
    return last[0]


def _split(tokens: Sequence[str]) -> Iterator[list[str]]:
    """By `|` outside of parentheses."""
    part: list[str] = []
    depth = 0
    for each in tokens:
        depth += (each == "(") - (each == ")")
        if each == "|" and depth == 0:
            yield part
            part = []
        else:
            part.append(each)
    yield part


def _command(tokens: Sequence[str], given: Given, last: list[Word]) -> Word:
    """A function with its arguments, or one value. Raises `Unsupported`."""
    if not tokens:
        raise Unsupported("an empty command")
    of: Callable[..., Word] | None = FUNCTIONS.get(tokens[0])
    if of is None:
        values = list(_values(tokens, given))
        if len(values) != 1 or last:
            raise Unsupported(f"`{tokens[0]}` is no function that is filled in here")
        return values[0]
    try:
        return of(*_values(tokens[1:], given), *last)
    except (TypeError, ValueError, ArithmeticError, OSError, InputError) as error:
        raise Unsupported(f"`{tokens[0]}` does not take what it is given") from error


def _values(tokens: Sequence[str], given: Given) -> Iterator[Word]:
    at = 0
    while at < len(tokens):
        if tokens[at] == "(":
            end = _closing(tokens, at)
            yield _pipeline(list(tokens[at + 1 : end]), given)
            at = end + 1
        else:
            yield _value(tokens[at], given)
            at += 1


def _closing(tokens: Sequence[str], at: int) -> int:
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place] == "(") - (tokens[place] == ")")
        if depth == 0:
            return place
    raise Unsupported("a parenthesis is not closed")


def _value(text: str, given: Given) -> Word:
    """A literal, or what is given. Raises `Unsupported`."""
    if text[0] in '`"':
        return text[1:-1] if text[0] == "`" else _ESCAPED.sub(lambda one: _ESCAPES.get(one[1], one[1]), text[1:-1])
    if text[0].isdigit() or text[0] in "+-":
        return float(text)
    head, _, rest = text.rpartition(".")
    if head in _HEADS:
        return given.labels.get(rest, "")
    if text in _VALUES:
        return given.value
    if head in _EXTERNAL or text in _NAMED:
        return _NAMED.get(text, "")
    raise Unsupported(f"`{text}` is not filled in here")
