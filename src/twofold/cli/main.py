"""The command `twofold`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from twofold import __version__
from twofold.cli import (
    backfill,
    backup,
    delivery,
    demo,
    detectors,
    findings,
    forecasts,
    import_,
    incidents,
    logs,
    models,
    runbooks,
    slos,
)
from twofold.cli.client import connect
from twofold.cli.output import Exit, Format, Output, ago, show, table
from twofold.errors import ConfigError, Conflict, NotFound, TwofoldError

app = typer.Typer(
    name="twofold",
    help="AIOps and MLOps as one system. Start with `twofold up`, or `twofold demo run` to see it at work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(incidents.app, name="incidents")
app.add_typer(models.app, name="models")
app.add_typer(detectors.app, name="detectors")
app.add_typer(findings.app, name="findings")
app.add_typer(logs.app, name="logs")
app.add_typer(runbooks.app, name="runbook")
app.add_typer(demo.app, name="demo")
app.add_typer(import_.app, name="import")
app.command("backfill")(backfill.backfill)
app.command("forecasts")(forecasts.forecasts)
app.command("delivery")(delivery.delivery)
app.command("slos")(slos.slos)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("verify")(backup.verify)
app.command("train")(models.train)
app.command("release")(models.release)


def _version(wanted: bool) -> None:  # noqa: FBT001 - the shape that typer calls
    if wanted:
        typer.echo(f"twofold {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Choose a command."""


@app.command()
def up(
    home: Annotated[Path | None, typer.Option("--data", help="Folder for everything it keeps [~/.twofold].")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings as YAML.")] = None,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "",
    port: Annotated[int, typer.Option(help="UI, API and receivers [7070].")] = 0,
    otlp_port: Annotated[int | None, typer.Option(help="OTLP/HTTP; 0 turns it off [4318].")] = None,
    otlp_grpc_port: Annotated[int | None, typer.Option(help="OTLP/gRPC; 0 turns it off [4317].")] = None,
    capture: Annotated[Path | None, typer.Option(help="Also write every accepted request into this file.")] = None,
) -> None:
    """Start Twofold: UI, API and receivers on one port, OTLP on 4318 (HTTP) and 4317 (gRPC)."""
    from twofold.app import serve
    from twofold.config import load

    given = {"host": host or None, "port": port or None, "otlp_port": otlp_port, "otlp_grpc_port": otlp_grpc_port}
    http = {name: value for name, value in given.items() if value is not None}
    serve.run(load(config, {"home": home, "capture": capture, "http": http}))


@app.command(hidden=True)
def worker(
    home: Annotated[Path, typer.Option("--data")], config: Annotated[Path | None, typer.Option("--config")] = None
) -> None:
    """The second process: durable workflows, training, compaction. `twofold up` starts it."""
    from twofold.app import work
    from twofold.config import load

    work.run(load(config, {"home": home}))


@app.command()
def kernels() -> None:
    """Compile what runs as machine code, so that the first start is warm; `make` does so at installation."""
    from twofold.app.kernels import compile_kernels

    typer.echo(f"kernels are ready ({compile_kernels():.1f} s)")


@app.command()
def status(output: Output = Format.TABLE) -> None:
    """What is open, what is watched, how it does."""
    home = connect().get("/api/v1/home")
    if output is Format.JSON:
        show(home)
        return
    health, counts = home["health"], home["counts"]
    typer.echo(
        f"{counts['open']} open incidents, {counts['alerts_firing']} alerts firing; watching {health['series']} series "
        f"of {health['entities']} entities at {health['points_per_s']:.0f} points/s"
    )
    table(
        ("incident", "since", "severity", "title"),
        ((one["id"], ago(one["start"]), one["severity"], one["title"]) for one in home["open_incidents"]),
        empty="Nothing is open.",
    )


def main() -> None:
    """Entry point of the console script. An error of ours is one sentence and an exit code, never a traceback."""
    try:
        app()
    except ConfigError as error:
        _end(error, Exit.USAGE)
    except Conflict as error:
        _end(error, Exit.CONFLICT)
    except NotFound as error:
        _end(error, Exit.NOT_FOUND)
    except TwofoldError as error:
        _end(error, Exit.FAILED)


def _end(error: TwofoldError, code: Exit) -> NoReturn:
    typer.echo(f"twofold: {error.message}", err=True)
    sys.exit(code)
