"""`twofold runbook`: what may be done, what is proposed, and approving it."""

from __future__ import annotations

from typing import Annotated

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, ago, show, table

app = typer.Typer(help="Runbooks and their executions.", no_args_is_help=True)


@app.command("list")
def list_(output: Output = Format.TABLE) -> None:
    """All runbooks."""
    found = connect().get("/api/v1/runbooks")
    if output is Format.JSON:
        show(found)
        return
    table(
        ("runbook", "title", "steps"),
        ((r["id"], r["title"], " -> ".join(step["action"] for step in r["steps"])) for r in found["items"]),
        empty="No runbook.",
    )


@app.command()
def executions(incident: str = "", state: str = "", output: Output = Format.TABLE) -> None:
    """What was proposed, runs, and ran."""
    found = connect().get("/api/v1/executions", incident=incident, state=state)
    if output is Format.JSON:
        show(found)
        return
    table(
        ("execution", "state", "created", "title", "result"),
        ((e["id"], e["state"], ago(e["created"]) + " ago", e["title"], e["result"] or "-") for e in found["items"]),
        empty="No execution.",
    )


@app.command()
def run(
    runbook: str,
    incident: Annotated[str, typer.Option(help="For which incident.")],
    entity: Annotated[str, typer.Option(help="On what.")],
    dry_run: Annotated[bool, typer.Option(help="Only say what would be done.")] = False,
) -> None:
    """Ask for a runbook; another person must approve it."""
    body = {"runbook": runbook, "incident": incident, "arguments": {"entity": entity}, "dry_run": dry_run}
    made = connect().post("/api/v1/executions", body)
    for step in made["steps"]:
        typer.echo(f"{step['name']}: {step['output'] or step['state']}")
    typer.echo(f"{made['id']}: {made['state']}, approval hash {made['approval_hash']}")


@app.command()
def approve(
    execution: str,
    approval_hash: Annotated[str, typer.Option("--hash", help="As shown; empty: as it stands now.")] = "",
) -> None:
    """Approve an execution as it was shown to you."""
    api = connect()
    signed = approval_hash or api.get(f"/api/v1/executions/{execution}")["approval_hash"]
    made = api.post(f"/api/v1/executions/{execution}/approve", {"approval_hash": signed})
    typer.echo(f"{made['id']}: {made['state']}")


@app.command()
def reject(execution: str, reason: str = "") -> None:
    """Decline a proposal."""
    made = connect().post(f"/api/v1/executions/{execution}/reject", {"reason": reason})
    typer.echo(f"{made['id']}: {made['state']}")
