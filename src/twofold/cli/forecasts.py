"""`twofold forecasts`: what will run out, when, and how often that was right."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, ago, show, table


def forecasts(
    entity: Annotated[str, typer.Option(help="Only of this entity.")] = "", output: Output = Format.TABLE
) -> None:
    """Disks, memory and quotas that are expected to run out, the soonest first."""
    found = connect().get("/api/v1/forecasts", entity=entity)
    if output is Format.JSON:
        show(found)
        return
    table(
        ("entity", "forecast", "sure", "made"),
        ((f["entity"], _said(f), f"{f['probability']:.0%}", ago(f["made"]) + " ago") for f in found["open"]),
        empty="Nothing is expected to run out.",
    )
    if found["ended"]:
        table(
            ("entity", "was", "claimed", "ended"),
            (
                (f["entity"], f["state"], f"{f['claimed']:.0%} within {f['horizon_s'] / 3600:.1f} h", ago(f["ended"]))
                for f in found["ended"][:20]
            ),
            empty="",
        )
    for one in found["calibration"]:
        if one["decided"]:
            claim = f"claimed {one['low']:.0%} to {one['high']:.0%}"
            share = one["hit"] / one["decided"]
            typer.echo(f"{claim}: {one['hit']} of {one['decided']} came true ({share:.0%})")


def _said(forecast: dict[str, Any]) -> str:
    """What was said, and by whom when not by our own forecaster."""
    return str(forecast["reason"]) + (f" [{forecast['engine']}]" if forecast["engine"] else "")
