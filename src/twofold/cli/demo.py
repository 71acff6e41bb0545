"""`twofold demo`: a small shop, watched; break it, mend it, and measure how well its faults are found."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, fail, show, table

app = typer.Typer(help="A small shop to watch, break and mend.", no_args_is_help=True)


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="Folder, made anew.")] = Path(".twofold/demo"),
    history: Annotated[bool, typer.Option(help="First send the recorded capture, so that pages have a past.")] = True,
) -> None:
    """Start Twofold and the shop; prints one URL."""
    from twofold.cli.backfill import send
    from twofold.cli.client import Api

    def past(url: str, token: str, capture: Path) -> None:
        send(Api(url, token), capture, ends_now=True)

    _module("run").run(data, past=past if history else None)


@app.command()
def record(
    capture: Annotated[Path, typer.Argument(help="File to write; the truth goes beside it.")],
    plan: Annotated[str, typer.Option(help="history or score")] = "score",
    data: Annotated[Path, typer.Option(help="Folder, made anew.")] = Path(".twofold/record"),
) -> None:
    """Record a capture: run the shop through a plan of faults and keep all telemetry."""
    _module("record").record(capture, plan, data)


@app.command()
def score(
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Replay recorded captures instead of running the shop.")
    ] = False,
    faults: Annotated[str, typer.Option(help="Comma-separated; all by default.")] = "",
    data: Annotated[Path, typer.Option(help="Folder, made anew.")] = Path(".twofold/score"),
    output: Output = Format.TABLE,
) -> None:
    """Run every fault unattended and tell what was found, how fast, and whether it recovered."""
    chosen = [name for name in faults.split(",") if name]
    if recorded:
        from twofold.app.replay import Replay

        result = _module("score").score_recorded(data, Replay, chosen)
    else:
        result = _module("score").score_live(data, chosen)
    if output is Format.JSON:
        show(result)
        return
    table(
        ("fault", "detected", "cause's rank", "first suspect", "recovered", "incidents"),
        (
            (
                row["fault"],
                f"{row['detect_s']:.0f} s" if row["detect_s"] is not None else "no",
                row["rank"] or "-",
                row["first"] or "-",
                {True: "yes", False: "no", None: "-"}[row["recovered"]],
                row["incidents"],
            )
            for row in result["rows"]
        ),
        empty="No fault was run.",
    )
    typer.echo(
        f"detected {result['detected']}/{result['faults']}, cause first {result['top1']}, "
        f"among three {result['top3']}, median {result['median_detect_s']} s, "
        f"{result['false_incidents_per_hour']} false incidents an hour"
    )


@app.command("break")
def break_(fault: str, seconds: Annotated[float | None, typer.Option(help="How long; 90 by default.")] = None) -> None:
    """Switch a fault on."""
    connect().post(f"/api/v1/demo/faults/{fault}", {"seconds": seconds} if seconds else {})
    typer.echo(f"{fault} is on; open the UI, or `twofold incidents list`")


@app.command()
def mend(fault: str) -> None:
    """Switch a fault off."""
    connect().call("DELETE", f"/api/v1/demo/faults/{fault}")
    typer.echo(f"{fault} is off")


@app.command()
def faults(output: Output = Format.TABLE) -> None:
    """What can be broken, and what is."""
    found: dict[str, Any] = connect().get("/api/v1/demo")
    if output is Format.JSON:
        show(found)
        return
    table(
        ("fault", "on", "what happens"),
        ((f["name"], "yes" if f["active"] else "no", f["description"]) for f in found["faults"]),
        empty="No demo runs beside this Twofold; start one with `twofold demo run`.",
    )


def _module(name: str) -> ModuleType:
    """A module of the demo, which lives in the source checkout, not in the wheel."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / "demo" / "stack.py").exists():
        fail("the demo lives in the source checkout: clone the repository and run `make demo` there")
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    return importlib.import_module(f"demo.{name}")
