"""A miner's state as arrays and JSON, and back."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson

from twofold.aiops.detect.mining.book import Book
from twofold.aiops.detect.mining.miner import Miner
from twofold.aiops.detect.mining.shapes import Shapes
from twofold.aiops.detect.mining.template import Template
from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.stats.text.shapes import Known, Tally

VERSION: Final = 1
_TABLES: Final = (*Known._fields, *(f"tally_{name}" for name in Tally._fields), "given", "lines")


def snapshot(miner: Miner) -> dict[str, Any]:
    """Everything that the miner knows."""
    book, shapes = miner.book, miner.shapes
    forms = [form for each in book.forms.values() for form in each]
    primary = {template.row for template in book.templates.values()}
    told = {
        "version": VERSION,
        "templates": [_plain(form, primary=form.row in primary) for form in forms],
        "order": [[member.row for member in bucket.members] for bucket in book.buckets.values()],
        "aliases": list(book.aliases.items()),
        "free": book.free,
        "kin": book.kin(),
        "taken": list(shapes.taken),
        "counts": [shapes.shapes, shapes.words, book.remembered, book.evicted],
    }
    arrays = {
        **{name: table.copy() for name, table in shapes.known._asdict().items()},
        **{f"tally_{name}": table.copy() for name, table in book.tally._asdict().items()},
        "given": book.given.copy(),
        "lines": np.array([miner.lines], np.int64),
    }
    return {f"miner_{name}": array for name, array in arrays.items()} | {"miner": orjson.dumps(told)}


def restore(miner: Miner, state: State) -> None:
    """Make a new miner know what `snapshot` gave.

    Raises:
        Corrupt: It does not fit this version.
    """
    try:
        told = orjson.loads(bytes(state["miner"]))
        _check(told["version"])
        arrays = {name: np.array(state[f"miner_{name}"]) for name in _TABLES}
        _fill(miner.shapes, miner.book, told, arrays)
        miner.resume(int(arrays["lines"][0]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Corrupt(f"the miner's state does not fit this version: {error!r}; replay the journal") from error


def _check(version: object) -> None:
    if version != VERSION:
        raise ValueError(f"version {version}, this is {VERSION}")


def _fill(shapes: Shapes, book: Book, told: Any, arrays: dict[str, Any]) -> None:
    shapes.known = Known(*(arrays[name] for name in Known._fields))
    shapes.taken = dict.fromkeys(told["taken"])
    shapes.shapes, shapes.words, book.remembered, book.evicted = told["counts"]
    book.tally = Tally(*(arrays[f"tally_{name}"] for name in Tally._fields))
    book.given = arrays["given"]
    book.aliases = {int(old): int(new) for old, new in told["aliases"]}
    templates = {each["row"]: (_template(each), each["primary"]) for each in told["templates"]}
    book.resume(templates, told["order"], told["free"], told["kin"])


def _plain(template: Template, *, primary: bool) -> dict[str, Any]:
    return {
        "id": template.id,
        "row": template.row,
        "chain": template.structure[0],
        "gaps": template.gaps,
        "words": template.words,
        "symbols": template.symbols.tolist(),
        "values": [[place, held] for place, held in template.values.items()],
        "merged": template.merged,
        "primary": primary,
    }


def _template(each: dict[str, Any]) -> Template:
    symbols = np.array(each["symbols"], np.int64)
    if not len(each["words"]) == len(symbols) == len(each["gaps"]) - 1:
        raise ValueError(f"template {each['id']:016x} has {len(symbols)} symbols for {len(each['words'])} words")
    return Template(
        id=int(each["id"]),
        row=int(each["row"]),
        structure=(int(each["chain"]), len(symbols)),
        gaps=tuple(each["gaps"]),
        words=tuple(each["words"]),
        symbols=symbols,
        values={int(place): dict(held) for place, held in each["values"]},
        merged=int(each["merged"]),
    )
