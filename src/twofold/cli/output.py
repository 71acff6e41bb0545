"""How commands speak: tables for people, JSON for programs, and exit codes that stay the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NoReturn

import typer


class Exit(IntEnum):
    """Exit codes; scripts may rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DENIED = 4
    NOT_FOUND = 5
    CONFLICT = 6


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--output", "-o", help="table or json")]


def fail(message: str, code: Exit = Exit.FAILED) -> NoReturn:
    """Say what is wrong on stderr and end."""
    typer.echo(f"twofold: {message}", err=True)
    raise typer.Exit(code)


def show(value: Any) -> None:
    """JSON on stdout."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """An aligned table on stdout, or one sentence when there is nothing."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = [[str(cell) for cell in row] for row in rows]
    if not found:
        typer.echo(empty)
        return
    drawn = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(column, no_wrap=number == 0)  # an id that is cut can be given to no command
    for row in found:
        drawn.add_row(*map(Text, row))  # text from outside may look like markup
    Console().print(drawn)


def ago(text: str | None) -> str:
    """How long ago a time was: `42 s`, `3 min`, `5 h`, `2 d`; `-` without one."""
    if not text:
        return "-"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def pick(item: Mapping[str, Any], *names: str) -> list[Any]:
    """Values of these fields, `-` for empty ones."""
    return [item.get(name) or "-" for name in names]
