"""Rule files of Prometheus on the command line: read, imported under a name, and what became of each rule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twofold.cli.client import connect
from twofold.cli.output import Exit, Format, Output, fail, show, table

File = Annotated[Path, typer.Argument(help="A Prometheus rule file.")]


def read(file: Path) -> str:
    """The text of a rule file; ends the command where there is none."""
    try:
        data = file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error}", Exit.USAGE)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fail(f"{file} is no text: line {line} holds bytes that are no UTF-8; a rule file is YAML", Exit.USAGE)
    if not text.strip():
        fail(f"{file} is empty; a rule file has `groups` with at least one alert", Exit.USAGE)
    return text


def asked(file: Path) -> dict[str, Any]:
    """What a backtest is asked with: the text of a file, or the name that rules were imported under."""
    if file.exists() or file.suffix or len(file.parts) != 1:
        return {"rules": read(file)}
    name, _, version = str(file).partition("@")
    return {"model": name, "version": version}


def import_(
    file: File,
    name: Annotated[str, typer.Option(help="Under which the rules are kept; the file's own without one.")] = "",
    description: Annotated[str, typer.Option(help="One sentence.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Keep alert rules that you already have under a name, to replay them by it: `backtest NAME`, `rules NAME`."""
    body = {"name": name or file.stem, "rules": read(file), "description": description}
    made = connect().post("/api/v1/rules", body)
    if output is Format.JSON:
        show(made)
    else:
        typer.echo(f"{made['id']}: {'; '.join(gate['text'] for gate in made['gates'])}")


def outcomes(items: list[dict[str, Any]]) -> None:
    """What became of each rule; recordings that were made stand in one line."""
    if not items:
        return
    made = [one for one in items if one["records"] and not one["refused"] and not one["note"]]
    rows = [(one["name"], one["group"], one["line"], _became(one)) for one in items if one not in made]
    table(("rule", "group", "line", "what became of it"), rows, empty="")
    if made:
        series = sum(one["series"] for one in made)
        typer.echo(f"{len(made)} recordings made for them, {series} series.")


def _became(one: dict[str, Any]) -> str:
    if one["refused"]:
        return f"not replayed: {one['refused']}"
    said = f"{one['series']} series" if one["records"] else f"fired {one['fired']} times"
    return f"{said}; {one['note']}" if one["note"] else said
