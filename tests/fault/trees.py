"""Mutates JSON as trees: bodies that every parser takes, and in which anything stands where something else must."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import orjson

from tests.unit.ingest.mutation import repeatable

_ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    7,
    1 << 62,
    -(1 << 63),
    (1 << 64) - 1,
    0.5,
    1e308,
    "",
    "x",
    "0",
    "-1",
    "1e400",
    "NaN",
    "9" * 30,
    "2026-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999+14:00",
    "\x00\U0001f600\u0301",
    "a" * 300,
    [],
    {},
    [[]],
    [None],
    {"": {}},
)
Mutate = Callable[[bytes, int], bytes]
Mutator = Callable[[bytes, int, int], bytes]


class Trees:
    """What is known of a decoder's JSON: false when its examples are none.

    A body may be one tree, or a tree a line.
    """

    def __init__(self, corpus: Sequence[bytes]) -> None:
        self._trees = [tree for body in corpus for tree in _trees(body)]
        self._keys = sorted({key for tree in self._trees for _, key in _places(tree) if isinstance(key, str)})

    def __bool__(self) -> bool:
        return bool(self._trees)

    def mutator(self, mutate: Mutate) -> Mutator:
        """For libFuzzer: bytes, their most and a seed to other bytes. Half of the time it is `mutate`."""

        def mutated(data: bytes, most: int, seed: int) -> bytes:
            chance = repeatable(seed)
            made = self._mutated(data, chance) if chance.random() < 0.5 else b""
            return made if 0 < len(made) <= most else mutate(data, most)

        return mutated

    def _mutated(self, data: bytes, chance: random.Random) -> bytes:
        lines = [data]
        if (tree := _tree(data)) is None:
            lines = data.split(b"\n")
        at = chance.randrange(len(lines))
        tree = tree if len(lines) == 1 else _tree(lines[at])
        if tree is None:
            return b""
        for _ in range(chance.randint(1, 3)):
            tree = self._changed(tree, chance)
        try:
            lines[at] = orjson.dumps(tree, default=str)
        except TypeError:  # it nests deeper than can be written, as what was read may by one
            return b""
        return b"\n".join(lines)

    def _changed(self, tree: Any, chance: random.Random) -> Any:
        """The tree with one place replaced, removed, repeated or renamed."""
        places = list(_places(tree))
        if not places or chance.random() < 0.05:
            return chance.choice(_ODD)
        parent, key = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, list):
                parent.insert(key, parent[key])
            case 1 | 2:
                donor, other = chance.choice(list(_places(chance.choice(self._trees))) or places)
                parent[key] = orjson.loads(orjson.dumps(donor[other]))
            case 3 if isinstance(parent, dict) and self._keys:
                parent[chance.choice(self._keys)] = parent.pop(key)
            case _:
                parent[key] = orjson.loads(orjson.dumps(chance.choice(_ODD)))
        return tree


def _tree(data: bytes) -> Any:
    """An object or a list; None where the bytes are neither."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict | list) else None


def _trees(body: bytes) -> list[Any]:
    whole = _tree(body)
    found = [whole] if whole is not None else [_tree(line) for line in body.split(b"\n")]
    return [each for each in found if each is not None]


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every parent and key below, at any depth; none of what is no object or list."""
    waiting = [tree] if isinstance(tree, dict | list) else []
    while waiting:
        parent = waiting.pop()
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        for key in keys:
            yield parent, key
            if isinstance(parent[key], dict | list):
                waiting.append(parent[key])
