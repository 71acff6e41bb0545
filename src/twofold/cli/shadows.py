"""`twofold detectors shadow|trust`: what a version would have paged beside the live one; how far that is trusted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, ago, show, table

Model = Annotated[str, typer.Argument(help="panel")]
Ours = Annotated[str, typer.Argument(help="panel, causes or capacity")]


def shadow(
    model: Model = "panel",
    version: Annotated[str, typer.Argument(help="The newest shadow by default.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """What a version that shadows the live one would have paged, and what it would not."""
    found = connect().get(f"/api/v1/detectors/{model}/shadow", version=version)
    if output is Format.JSON:
        show(found)
        return
    table(
        (f"since {ago(found['since'])} ago", found["detector"], found["champion"]),
        (
            ("pages", found["pages"], found["champion_pages"]),
            ("of them for the same", found["both"], found["both"]),
            ("alone", found["pages"] - found["both"], len(found["only_champion"])),
            ("findings", found["findings"], found["champion_findings"]),
        ),
        empty="",
    )
    table(
        (f"only {found['detector']}", "severity", "incident"),
        ((page["detected"], page["severity"], page["title"]) for page in found["only_shadow"]),
        empty=f"{found['detector']} would have paged for nothing that {found['champion']} did not page for.",
    )
    table(
        (f"only {found['champion']}", "incident"),
        ((key, title(key)) for key in found["only_champion"]),
        empty=f"{found['champion']} paged for nothing that {found['detector']} would have left out.",
    )


def title(incident: str) -> str:
    """The title of an incident."""
    return str(connect().get(f"/api/v1/incidents/{incident}")["incident"]["title"])


def trust(model: Ours = "panel", output: Output = Format.TABLE) -> None:
    """How precise the live version is, as far as its pages, first suspects or forecasts were judged."""
    found = connect().get(f"/api/v1/detectors/{model}/trust")
    if output is Format.JSON:
        show(found)
        return
    judged = [one for one in (found["live"], found["champion"]) if one]
    table(
        ("version", "right", "false", "precision (80 % interval)"),
        ((one["detector"], one["right"], one["false"], _interval(one)) for one in judged),
        empty="",
    )
    if not any(one["right"] + one["false"] for one in judged):
        return
    typer.echo(
        f"Less precise than borne with {found['worse']:.1%} certainty; "
        f"{found['false_per_day']:g} false a day, at least {found['least_false_per_day']:g} proven."
    )
    if found["lost"]:
        typer.echo(f"It is taken back: {found['lost']}")


def _interval(one: dict[str, Any]) -> str:
    if not one["right"] + one["false"]:
        return "nothing was judged yet"
    return f"{one['middle']:.0%} ({one['low']:.0%} to {one['high']:.0%})"
