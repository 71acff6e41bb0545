"""Personal data and secrets out of texts, a column at a time, before anything is durable.

A column is asked once, by one cheap expression, which lines may hold anything at all; only these are worked on. Inside
attributes, which are JSON, expressions that could touch its structure go over its values one by one.

Source: RFC 5321 and 4291 for the shapes of addresses, ISO/IEC 7812 (Luhn) for card numbers, RFC 7519 for tokens.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from twofold.aiops.ingest.clean.config import Scrub, ScrubConfig
from twofold.errors import ConfigError

ATTRIBUTE_RULE: Final = "attribute"
GONE: Final = "[gone]"
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_SECRETS: Final = r"(?:api[_-]?key|apikey|token|secret|password|passwd|pwd|access[_-]?key|client[_-]?secret)"
_CARD: Final = r"[2-6](?:[ -]?[0-9]){12,18}"
_CARD_DIGITS: Final = range(13, 20)
_HEXTETS: Final = r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4})?"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of text to take out.

    Attributes:
        hint: RE2, cheap; a text in which it finds nothing holds nothing that the rule looks for.
        find: RE2; a text in which it finds nothing is left alone.
        steps: RE2 and replacement, when replacing what is found is all there is to do.
        change: Else what to do with a text.
        plain: `steps` cannot touch the structure of JSON.
    """

    name: str
    hint: str
    find: str
    steps: tuple[tuple[str, str], ...] = ()
    change: Callable[[str], str] | None = None
    plain: bool = False

    def apply(self, text: str) -> str:
        """The text without what the rule finds."""
        if self.change is not None:
            return self.change(text)
        for pattern, replacement in self.steps:
            text = re.sub(pattern, replacement, text)
        return text


def _steps(name: str, hint: str, *steps: tuple[str, str]) -> Rule:
    return Rule(name, hint, _any_of([pattern for pattern, _ in steps]), steps, plain=True)


def _any_of(patterns: Sequence[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def luhn(digits: str) -> bool:
    """Whether the check digit of a card number fits.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004 - the sum of digits


def _cards(text: str) -> str:
    def card(found: re.Match[str]) -> str:
        digits = re.sub("[ -]", "", found[0])
        return "[card]" if len(digits) in _CARD_DIGITS and luhn(digits) else found[0]

    return re.sub(rf"(?<![\d.]){_CARD}(?![\d.]*\d)", card, text)


def _addresses(text: str) -> str:
    def address(found: re.Match[str]) -> str:
        try:
            ipaddress.IPv6Address(found[0])
        except ValueError:
            return found[0]
        return "[ipv6]"

    return re.sub(rf"(?<![\w:.]){_HEXTETS}(?![\w:])", address, text)


_KINDS: Final[dict[Scrub, Rule]] = {
    Scrub.EMAIL: _steps(
        "email",
        "@",
        (r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b", "[email]"),
    ),
    Scrub.IPV4: _steps("ipv4", r"[0-9]\.[0-9]+\.[0-9]+\.[0-9]", (rf"\b(?:{_OCTET}\.){{3}}{_OCTET}\b", "[ipv4]")),
    Scrub.IPV6: Rule("ipv6", ":[0-9A-Fa-f]{0,4}:", ":[0-9A-Fa-f]{0,4}:", change=_addresses),
    Scrub.CARD: Rule("card", "[2-6](?:[ -]?[0-9]){12}", _CARD, change=_cards),
    Scrub.TOKEN: _steps(
        "token",
        f"(?i:eyj|bearer|basic|akia|gh[pousr]_|glpat|xox|aiza|sk_|{_SECRETS})",
        (r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}", "[token]"),
        (r"(?i)\b(bearer|basic) +[A-Za-z0-9._~+/-]{8,}=*", r"\1 [token]"),
        (
            (
                r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|glpat-[A-Za-z0-9_-]{20,}|xox[abposr]-[A-Za-z0-9-]{10,}"
                r"|AIza[0-9A-Za-z_-]{35}|sk_(?:live|test)_[0-9A-Za-z]{16,})"
            ),
            "[token]",
        ),
        (rf'(?i)("[a-z0-9_.-]*{_SECRETS}"): ?"(?:[^"\\]|\\.)+"', r'\1:"[token]"'),
        (rf"(?i)\b([a-z0-9_.-]*{_SECRETS})(=|: +)[^\s\"',;&}}\\\[]{{4,}}", r"\1\2[token]"),
    ),
}


class Scrubber:
    """Takes texts out of columns, counting the lines that each rule changed.

    Raises:
        ConfigError: An expression that RE2 does not understand.
    """

    def __init__(self, config: ScrubConfig) -> None:
        own = [Rule(rule.name, rule.regex, rule.regex, ((rule.regex, f"[{rule.name}]"),)) for rule in config.rules]
        self.rules: Sequence[Rule] = [*(_KINDS[kind] for kind in dict.fromkeys(config.kinds)), *own]
        self._attributes = frozenset(config.attributes)
        keys = [f'"{re.escape(name)}":' for name in sorted(self._attributes)]
        self._texts = _any_of([rule.hint for rule in self.rules])
        self._plain = [rule for rule in self.rules if rule.plain]
        self._rest = [rule for rule in self.rules if not rule.plain]
        self._values = _any_of([*(rule.find for rule in self._rest), *keys])
        for rule in self.rules:
            _check(rule.find)

    def texts(self, column: pa.Array, counted: Counter[str]) -> pa.Array:
        """A column of texts without what the rules find."""
        return self._each(column, self._texts, counted, self.rules)

    def names(self, column: pa.DictionaryArray, counted: Counter[str]) -> pa.DictionaryArray:
        """A dictionary-encoded column, each of its words once."""
        words = self.texts(column.dictionary, counted)
        return column if words is column.dictionary else pa.DictionaryArray.from_arrays(column.indices, words)

    def objects(self, column: pa.Array, counted: Counter[str]) -> pa.Array:
        """A column of JSON objects; it stays JSON."""
        column = self._each(column, _any_of([rule.hint for rule in self._plain]), counted, self._plain)
        if not self._values:
            return column
        mask = pc.match_substring_regex(column, self._values)
        if not pc.any(mask).as_py():
            return column
        changed = [self._object(text, self._rest, counted) for text in column.filter(mask).to_pylist()]
        return pc.replace_with_mask(column, mask, pa.array(changed, column.type))

    def _each(self, column: pa.Array, hint: str, counted: Counter[str], rules: Sequence[Rule]) -> pa.Array:
        maybe = pc.match_substring_regex(column, hint) if hint else None
        if maybe is None or not pc.any(maybe).as_py():
            return column
        found = column.filter(maybe)
        for rule in rules:
            mask = pc.match_substring_regex(found, rule.find)
            if not pc.any(mask).as_py():
                continue
            before = found.filter(mask)
            after = _replaced(before, rule)
            counted[rule.name] += pc.sum(pc.not_equal(before, after)).as_py()
            found = pc.replace_with_mask(found, mask, after)
        return pc.replace_with_mask(column, maybe, found)

    def _object(self, text: str, rules: Sequence[Rule], counted: Counter[str]) -> str:
        found: Counter[str] = Counter()

        def walk(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: self._value(key, each, walk, found) for key, each in value.items()}
            if isinstance(value, list):
                return [walk(each) for each in value]
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                return value
            before = str(value)
            after = before
            for rule in rules:
                was, after = after, rule.apply(after)
                found[rule.name] += was != after
            return value if after == before else after

        changed = walk(orjson.loads(text))
        counted.update({name: 1 for name, count in found.items() if count})
        return orjson.dumps(changed).decode() if found.total() else text

    def _value(self, key: str, value: Any, walk: Callable[[Any], Any], found: Counter[str]) -> Any:
        if key not in self._attributes:
            return walk(value)
        found[ATTRIBUTE_RULE] += 1
        return GONE


def _replaced(column: pa.Array, rule: Rule) -> pa.Array:
    if rule.change is not None:
        return pa.array([rule.change(text) for text in column.to_pylist()], column.type)
    for pattern, replacement in rule.steps:
        column = pc.replace_substring_regex(column, pattern=pattern, replacement=replacement)
    return column


def _check(pattern: str) -> None:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        raise ConfigError(f"ingest.clean.scrub: RE2 does not take {pattern!r}: {error}") from error
