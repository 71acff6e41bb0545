"""Text to a parsed query, by `promql-parser`, with bounds: its native code would end the process on deep nesting."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import promql_parser as native

from twofold.errors import InputError, TooLarge
from twofold.store.promql.limits import Limits
from twofold.store.promql.matchers import Conditions, Matcher, Op
from twofold.store.promql.values import NAME

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`', re.DOTALL)
_BRACES: Final = re.compile(r"\{[^}]*\}")
_COMMENT: Final = re.compile(r"#[^\n]*")
_OPERATOR: Final = re.compile(r"[-+*/%^<>=!]+|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_REMEMBERED: Final = 512  # parsed queries, of at most 16 KiB each by default
_TOO_WIDE: Final = "at least one non-empty matcher"
_INFO: Final = re.compile(
    r"(\binfo\s*\([^{}]*(?:\{[^{}]*\}[^{}]*)?,\s*)\{(?=\s*\w)"
)  # its second argument may be as wide
_BEFORE_1970: Final = re.compile(r"@\s*-")
_OPS: Final = (
    (native.MatchOp.Equal, Op.EQUAL),
    (native.MatchOp.NotEqual, Op.UNEQUAL),
    (native.MatchOp.Re, Op.LIKE),
    (native.MatchOp.NotRe, Op.UNLIKE),
)


def _teach() -> None:
    """The former name of `double_exponential_smoothing`, which alert rules still use."""
    kinds = native.ValueType
    with suppress(ValueError):  # known already
        native.register_extra_functions(
            [native.Function("holt_winters", [kinds.Matrix, kinds.Scalar, kinds.Scalar], kinds.Vector)]
        )


_teach()


def parse(text: str, limits: Limits) -> Any:
    """The query's tree.

    Raises:
        InputError: No PromQL (`reason="parse"`).
        TooLarge: Past the bounds of length, nesting or operators.
    """
    return _parsed(text, limits.query_bytes, limits.depth, limits.operators)


@lru_cache(_REMEMBERED)
def _parsed(text: str, most_bytes: int, most_depth: int, most_operators: int) -> Any:
    """Trees are only read, so queries that come again and again share one."""
    _check(text, most_bytes, most_depth, most_operators)
    try:
        return native.parse(text)
    except ValueError as error:
        narrowed = _INFO.sub(r"\1{__name__!='',", text) if _TOO_WIDE in str(error) else text
        with suppress(ValueError):
            if narrowed != text:
                return native.parse(narrowed)
        raise InputError(f'invalid parameter "query": {error}', reason="parse") from error


def _check(text: str, most_bytes: int, most_depth: int, most_operators: int) -> None:
    size = len(text.encode(errors="surrogatepass"))
    if size > most_bytes:
        raise TooLarge(f"query of {size} bytes, limit {most_bytes}", reason="query_bytes")
    bare = _BRACES.sub("{}", _COMMENT.sub("", _STRING.sub('""', text)))
    depth = deepest = 0
    for character in bare:
        depth += (character in "([") - (character in ")]")
        deepest = max(deepest, depth)
    if deepest > most_depth:
        raise TooLarge(f"query nests {deepest} deep, limit {most_depth}", reason="query_depth")
    operators = sum(len(match[0]) if match[0][0] in "+-" else 1 for match in _OPERATOR.finditer(bare))
    if operators > most_operators:
        raise TooLarge(f"query of {operators} operators, limit {most_operators}", reason="query_operators")
    if _BEFORE_1970.search(bare):
        raise InputError("@ before 1970 is not supported", reason="parse")


def conditions(selector: Any) -> Conditions:
    """What a selector asks for."""
    name = [Matcher(NAME, Op.EQUAL, selector.name)] if selector.name else []
    every = name + _matchers(selector.matchers.matchers)
    alternatives = selector.matchers.or_matchers
    return tuple((*every, *_matchers(each)) for each in alternatives) if alternatives else (tuple(every),)


def _matchers(found: Iterable[Any]) -> list[Matcher]:
    return [Matcher(each.name, next(ours for op, ours in _OPS if op == each.op), each.value) for each in found]


def selector(text: str, limits: Limits) -> Conditions:
    """The conditions of a text that is a selector, as `match[]` holds it.

    Raises:
        InputError: It is none.
    """
    found = parse(text, limits)
    if not isinstance(found, native.VectorSelector):
        raise InputError(f'invalid parameter "match[]": {text[:200]!r} is no series selector', reason="parse")
    return conditions(found)
