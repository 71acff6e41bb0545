"""`twofold models`, `twofold train`, `twofold release`: the way of a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from twofold.cli.client import connect
from twofold.cli.output import Exit, Format, Output, ago, fail, show, table

app = typer.Typer(help="Models, their versions and releases.", no_args_is_help=True)

AcceptUnknown = Annotated[
    bool,
    typer.Option("--accept-unknown", help="Go live although a gate of our own detectors cannot tell; is written down."),
]


@app.command("list")
def list_(output: Output = Format.TABLE) -> None:
    """Every model, what answers, and how it does."""
    found = connect().get("/api/v1/models")
    if output is Format.JSON:
        show(found)
        return
    table(
        ("model", "kind", "live", "versions", "health", "owner"),
        (
            (m["model"], m["kind"], m["live_version"] or "-", m["versions"], m["health"], m["owner"] or "-")
            for m in found["items"]
        ),
        empty="No model yet. `twofold train <project>` makes one.",
    )


@app.command("show")
def show_(model: str, output: Output = Format.TABLE) -> None:
    """Versions with their gates, and the release ledger."""
    found = connect().get(f"/api/v1/models/{model}")
    if output is Format.JSON:
        show(found)
        return
    table(
        ("version", "made", "gates", "dataset"),
        ((v["version"], ago(v["created"]) + " ago", _gates(v), v["dataset"] or "-") for v in found["versions"]),
        empty="No version.",
    )
    table(
        ("#", "version", "stage", "when", "by", "why"),
        (
            (r["seq"], r["version"], r["stage"], ago(r["time"]) + " ago", r["approver"], r["reason"])
            for r in found["releases"]
        ),
        empty="Never released.",
    )


@app.command()
def rollback(model: str, reason: Annotated[str, typer.Option(help="One sentence.")]) -> None:
    """Put the version that was live before back."""
    made = connect().post(f"/api/v1/models/{model}/rollback", {"reason": reason})
    typer.echo(f"{model} {made['version']} rolled back, {made['previous']} answers")


def train(
    project: str,
    seed: Annotated[int | None, typer.Option(help="Other than the project's own.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--set", help="name=value; may be repeated")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the run's end.")] = True,
    output: Output = Format.TABLE,
) -> None:
    """Train a project: snapshot, train, gates, register, shadow. `panel` is our own detector, trained on verdicts."""
    parameters = dict(_pair(one) for one in parameter or ())
    api = connect()
    run_id = api.post(f"/api/v1/projects/{project}/train", {"seed": seed, "parameters": parameters})["workflow_id"]
    run = _wait(api, run_id) if wait else {"id": run_id, "state": "requested"}
    if output is Format.JSON:
        show(run)
    else:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in (run.get("metrics") or {}).items())
        typer.echo(f"{run['id']}: {run['state']} {metrics} {run.get('error') or ''}".rstrip())
    if run["state"] == "failed":
        raise typer.Exit(Exit.FAILED)


def release(
    model: str,
    version: str,
    stage: Annotated[str, typer.Argument(help="shadow, canary, live or retired")],
    reason: Annotated[str, typer.Option(help="One sentence.")],
    weight: Annotated[float | None, typer.Option(help="A canary's share of traffic, 0 to 1.")] = None,
    accept_unknown: AcceptUnknown = False,
) -> None:
    """Put a version into a stage of the release ledger."""
    body: dict[str, Any] = {"version": version, "stage": stage, "reason": reason, "weight": weight}
    if accept_unknown:
        body["accept_unknown"] = True
    made = connect().post(f"/api/v1/models/{model}/releases", body)
    typer.echo(f"{model} {made['version']} is {made['stage']}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"--set {text!r} is not name=value", Exit.USAGE)
    return name, value


def _gates(version: dict[str, Any]) -> str:
    gates = version["gates"]
    failed = [gate["name"] for gate in gates if not gate["passed"]]
    return f"failed: {', '.join(failed)}" if failed else f"{len(gates)} passed"


def _wait(api: Any, run_id: str, limit_s: float = 900.0) -> dict[str, Any]:
    import time

    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    deadline = time.monotonic() + limit_s
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as progress:
        task = progress.add_task(f"training {run_id}", total=None)
        while True:
            run: dict[str, Any] = api.get(f"/api/v1/runs/{run_id}")
            if run["state"] in ("succeeded", "failed"):
                return run
            if time.monotonic() > deadline:
                fail(f"{run_id} did not end within {limit_s:.0f} s")
            progress.update(task, description=f"{run_id}: {run['state']}")
            time.sleep(0.5)
