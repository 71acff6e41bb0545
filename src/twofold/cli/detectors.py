"""`twofold detectors`: our own detectors are models, released through the same ledger."""

from __future__ import annotations

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, show, table

app = typer.Typer(help="Detectors: versions and releases.", no_args_is_help=True)


@app.command("list")
def list_(output: Output = Format.TABLE) -> None:
    """Every detector and which version is live."""
    found = [m for m in connect().get("/api/v1/models")["items"] if m["kind"] in ("detector", "ranker")]
    if output is Format.JSON:
        show({"items": found})
        return
    table(
        ("detector", "kind", "live", "versions"),
        ((m["model"], m["kind"], m["live_version"] or "-", m["versions"]) for m in found),
        empty="No detector is registered.",
    )
