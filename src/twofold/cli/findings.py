"""`twofold findings`: what detectors claim, and why."""

from __future__ import annotations

from shlex import quote
from textwrap import fill
from typing import Annotated, Any, Final

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, ago, show, table

app = typer.Typer(help="What detectors claim, and why.", no_args_is_help=True)
_WIDE: Final = 110
_NEWEST: Final = 10
_SHOWN: Final = 5


@app.command("list")
def list_(entity: str = "", limit: int = 20, output: Output = Format.TABLE) -> None:
    """Newest first."""
    found = connect().get("/api/v1/findings", entity=entity, limit=limit)
    if output is Format.JSON:
        show(found)
        return
    table(
        ("finding", "state", "began", "score", "what"),
        ((f["id"], f["state"], ago(f["onset"]) + " ago", f"{f['score']:.1f}", f["reason"]) for f in found["items"]),
        empty="No finding.",
    )


@app.command()
def explain(
    finding: Annotated[str, typer.Argument(help="Its id; without one the newest are explained.")] = "",
    limit: Annotated[int, typer.Option(help="So many of the newest.")] = _NEWEST,
    output: Output = Format.TABLE,
) -> None:
    """Why it fired, what drove it, what was like it and came of that, and what would silence it."""
    api = connect()
    ids = [finding] if finding else [one["id"] for one in api.get("/api/v1/findings", limit=limit)["items"]]
    told = [api.get(f"/api/v1/findings/{each}") for each in ids]
    if output is Format.JSON:
        show(told[0] if finding else told)
        return
    if not told:
        typer.echo("No finding.")
    for number, one in enumerate(told):
        typer.echo(("\n" if number else "") + "\n".join(_lines(one)))


def _lines(one: dict[str, Any]) -> list[str]:
    """An explanation as text."""
    finding, detector = one["finding"], one["detector"]
    said = [
        f"{finding['reason']}",
        f"  finding {finding['id']}, {finding['state']}, by {detector['id']}{_since(detector)}",
    ]
    if one["incident"]:
        said.append(f"  in incident {one['incident_title']} [{one['incident']}]")
    said += _block("Why", one["reasons"])
    drove = [
        _drove(each, finding["id"])
        for rank, each in enumerate(one["contributions"])
        if rank < _SHOWN or each["finding"] == finding["id"]
    ]
    said += _block(f"What drove {finding['entity']}", drove)
    said += _block("Like it before", [_past(each) for each in one["past"][:_SHOWN]] or ["Nothing like it is known."])
    said += _block("What would silence it", [_silencer(each) for each in one["silencers"]])
    return said


def _block(title: str, lines: list[str]) -> list[str]:
    return [f"  {title}:", *(fill(line, _WIDE, initial_indent="    - ", subsequent_indent="      ") for line in lines)]


def _since(detector: dict[str, Any]) -> str:
    if not detector["released"]:
        return ""
    return f" (live since {detector['released'][:16].replace('T', ' ')}, approved by {detector['approver']})"


def _past(one: dict[str, Any]) -> str:
    return f"{ago(one['onset'])} ago, {one['kinship']}: {one['reason']}. {one['outcome']}"


def _drove(one: dict[str, Any], explained: str) -> str:
    labels = f" ({one['labels_text']})" if one["labels_text"] else ""
    by = f"{abs(one['effect']):.1f} usual deviations {one['direction']}" if one["direction"] != "absent" else "absent"
    this = "  (this one)" if one["finding"] == explained else ""
    return f"{one['share']:.0%}  {one['metric']}{labels}: {by}{this}"


def _silencer(one: dict[str, Any]) -> str:
    how = f"  [twofold detectors new panel --set {quote(one['setting'])}]" if one["setting"] else ""
    return f"{one['text']}{' (tried)' if one['tried'] else ''}{how}"
