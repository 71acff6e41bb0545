"""`twofold logs`: what the lines say, found by meaning or text, and the lines themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, ago, show, table
from twofold.cli.times import moment

app = typer.Typer(help="Log templates and lines.", no_args_is_help=True)
_NEW: float = 1.5  # times as many as before is worth an arrow


@app.command()
def templates(
    question: Annotated[str, typer.Argument(help='In plain words: "somebody could not log in".')] = "",
    entity: Annotated[str, typer.Option(help="Only of this entity.")] = "",
    text: Annotated[bool, typer.Option("--text", help="The question is a part of the text.")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="Only of severity ERROR and above.")] = False,
    limit: int = 20,
    output: Output = Format.TABLE,
) -> None:
    """What programs write, one row a statement: the nearest to a question, or the most frequent."""
    found = connect().get(
        "/api/v1/logs/templates",
        q=question,
        by="text" if text else "meaning",
        entity=entity,
        severity=17 if errors else 0,
        limit=limit,
    )
    if output is Format.JSON:
        show(found)
        return
    table(
        ("template", "lines", "errors", "trend", "last", "written by", "text"),
        (
            (
                one["id"],
                f"{one['lines']:,}",
                f"{one['errors']:,}" if one["errors"] else "-",
                _trend(one["trend"]),
                ago(one["last_seen"]),
                ", ".join(use["entity"].partition(":")[2] for use in one["uses"][:3]),
                one["text"][:100],
            )
            for one in found["items"]
        ),
        empty="No template is near that." if question else "No log line was read yet.",
    )


@app.command()
def lines(
    template: Annotated[str, typer.Argument(help="Id, as `twofold logs templates` shows it.")],
    entity: Annotated[str, typer.Option(help="Only of this entity.")] = "",
    limit: int = 20,
    output: Output = Format.TABLE,
) -> None:
    """The newest lines of a template."""
    found = connect().get(f"/api/v1/logs/templates/{template}/lines", entity=entity, limit=limit)
    if output is Format.JSON:
        show(found)
        return
    for line in reversed(found["items"]):
        typer.echo(f"{line['time'][:19].replace('T', ' ')}  {line['entity']}  {line['body']}")
    if not found["items"]:
        typer.echo("No line within the hour before it was last seen.")


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="A part of the line; upper and lower case are alike.")] = "",
    entity: Annotated[str, typer.Option(help="Only of this entity.")] = "",
    trace: Annotated[str, typer.Option(help="Only of this trace: 32 hex digits.")] = "",
    errors: Annotated[bool, typer.Option("--errors", help="Only of severity ERROR and above.")] = False,
    since: Annotated[str, typer.Option(help="How long ago (30m, 2h), or a time; an hour ago by default.")] = "",
    until: Annotated[str, typer.Option(help="How long ago, or a time; now by default.")] = "",
    limit: int = 50,
    output: Output = Format.TABLE,
) -> None:
    """The newest lines that hold a text."""
    asked: dict[str, Any] = {"q": text, "entity": entity, "trace_id": trace, "severity": 17 if errors else 0}
    now = datetime.now(UTC)
    times = {name: moment(at, now).isoformat() for name, at in (("start", since), ("end", until)) if at}
    found = connect().get("/api/v1/logs", **asked, **times, limit=limit)
    if output is Format.JSON:
        show(found)
        return
    for line in reversed(found["items"]):
        typer.echo(f"{line['time'][:19].replace('T', ' ')}  {line['entity']}  {line['body']}")
    if not found["items"]:
        typer.echo("No line holds that.")


def _trend(trend: dict[str, Any] | None) -> str:
    if trend is None:
        return "-"
    change = trend["change"]
    if change is None:
        return "new" if any(trend["rate"]) else "silent"
    return f"x {change:.1f}" if not 1 / _NEW < change < _NEW else "steady"
