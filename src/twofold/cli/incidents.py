"""`twofold incidents`: list, show, acknowledge, resolve."""

from __future__ import annotations

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, ago, show, table

app = typer.Typer(help="Incidents and their diagnoses.", no_args_is_help=True)


@app.command("list")
def list_(state: str = "", entity: str = "", limit: int = 20, output: Output = Format.TABLE) -> None:
    """Newest first."""
    found = connect().get("/api/v1/incidents", state=state, entity=entity, limit=limit)
    if output is Format.JSON:
        show(found)
        return
    table(
        ("incident", "state", "severity", "began", "title"),
        ((i["id"], i["state"], i["severity"], ago(i["start"]) + " ago", i["title"]) for i in found["items"]),
        empty="No incident.",
    )


@app.command("show")
def show_(incident: str, output: Output = Format.TABLE) -> None:
    """One incident: suspects with evidence, timeline, executions."""
    found = connect().get(f"/api/v1/incidents/{incident}")
    if output is Format.JSON:
        show(found)
        return
    one = found["incident"]
    typer.echo(f"{one['title']}\n{one['state']}, {one['severity']}, began {ago(one['start'])} ago\n")
    for rank, suspect in enumerate((found["diagnosis"] or {"suspects": []})["suspects"], 1):
        typer.echo(f"{rank}. {suspect['entity']}  {suspect['score']:.0%}  {suspect['reason']}")
        for evidence in suspect["evidence"]:
            typer.echo(f"     {evidence['kind']}: {evidence['text']}")
    typer.echo("")
    for line in found["timeline"]:
        typer.echo(
            f"{line['time'][11:19]}  {line['text']}" + (f"  ({line['actor']})" if line["actor"] != "twofold" else "")
        )
    for execution in found["executions"]:
        typer.echo(f"\n{execution['state']}: {execution['title']}  [{execution['id']}] {execution['result']}")


@app.command()
def acknowledge(incident: str) -> None:
    """Say that you look at it."""
    connect().post(f"/api/v1/incidents/{incident}/acknowledge")
    typer.echo(f"{incident} acknowledged")


@app.command()
def resolve(incident: str) -> None:
    """Close it by hand."""
    connect().post(f"/api/v1/incidents/{incident}/resolve")
    typer.echo(f"{incident} resolved")
