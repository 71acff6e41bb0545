"""`twofold detectors`: our own detectors are models; what a version would have paged is asked before it is released."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from twofold.cli import models, rule_files, shadows
from twofold.cli.client import Api, connect
from twofold.cli.output import Exit, Format, Output, ago, fail, show, table
from twofold.cli.times import moment, seconds

app = typer.Typer(help="Detectors: versions, backtests, shadows and releases.", no_args_is_help=True)
app.command("shadow")(shadows.shadow)
app.command("trust")(shadows.trust)
app.command("import")(rule_files.import_)

_SAME_S: Final = 60.0
_OURS: Final = ("detector", "ranker", "forecaster", "rules")
_DAY_S: Final = 86_400.0

Model = Annotated[
    str,
    typer.Argument(
        help="panel (series), causes (ranking), capacity (forecasts), or a name that rules were imported under"
    ),
]
Since = Annotated[str, typer.Option(help="Begin: how long ago (30m, 6h, 7d, 2w), or a time.")]
Until = Annotated[str, typer.Option(help="End: how long ago, or a time; now by default.")]
WarmUp = Annotated[str, typer.Option(help="Telemetry before the period that is only learnt from.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="JSON list of {name, start, end, entities?, noise?}; without it verdicts are the labels."),
]


@app.command("list")
def list_(output: Output = Format.TABLE) -> None:
    """Every detector and which version is live; and the alert rules that were imported."""
    found = [m for m in connect().get("/api/v1/models")["items"] if m["kind"] in _OURS]
    if output is Format.JSON:
        show({"items": found})
        return
    table(
        ("detector", "kind", "live", "versions"),
        ((m["model"], m["kind"], m["live_version"] or "-", m["versions"]) for m in found),
        empty="No detector is registered.",
    )


@app.command("show")
def show_(model: Model = "panel", output: Output = Format.TABLE) -> None:
    """Versions, releases, and what backtests said."""
    models.show_(model, output)
    if output is Format.TABLE:
        _list_backtests(connect().get("/api/v1/backtests", model=model)["items"])


@app.command()
def new(
    model: Model,
    change: Annotated[list[str], typer.Option("--set", help="name=value, of the live settings; may be repeated")],
    description: Annotated[str, typer.Option(help="One sentence.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Register the live settings with some changed as the next version."""
    settings = {}
    for one in change:
        name, equals, value = one.partition("=")
        if not equals:
            fail(f"--set {one!r} is not name=value", Exit.USAGE)
        settings[name] = _value(one, value)
    made = connect().post(f"/api/v1/detectors/{model}/versions", {"settings": settings, "description": description})
    if output is Format.JSON:
        show(made)
    else:
        typer.echo(f"{made['id']}: {'; '.join(gate['text'] for gate in made['gates'])}")


@app.command()
def backtest(
    model: Model = "panel",
    version: Annotated[str, typer.Argument(help="The live one by default.")] = "",
    since: Since = "7d",
    until: Until = "0m",
    warm_up: WarmUp = "1h",
    labels: Labels = None,
    output: Output = Format.TABLE,
) -> None:
    """Replay history: what would have paged, what would have been missed, how late, how noisy, at what cost."""
    api = connect()
    (done,) = _run(api, [_ask(api, model, version, _period(since, until, warm_up, labels))])
    if output is Format.JSON:
        show(done)
        return
    _report(done)


@app.command()
def rules(
    file: Annotated[Path, typer.Argument(help="A Prometheus rule file, or the name that one was imported under.")],
    since: Since = "7d",
    until: Until = "0m",
    labels: Labels = None,
    against: Annotated[str, typer.Option(help="A detector's version beside it; the live panel by default.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Replay alert rules that you already have: what would they have paged, beside the detector?"""
    what = rule_files.asked(file)
    api, period = connect(), _period(since, until, "1h", labels)
    asked = str(api.post("/api/v1/backtests", {**what, **period})["id"])
    found, panel = _run(api, [asked, _ask(api, "panel", against, period)])
    if output is Format.JSON:
        show({"rules": found, "detector": panel})
        return
    _side_by_side(found, panel)
    _report(found)
    _only(panel, found)


@app.command()
def compare(
    model: Model,
    version: str,
    against: Annotated[str, typer.Option(help="The live version by default; name@version for another one's.")] = "",
    since: Since = "7d",
    until: Until = "0m",
    warm_up: WarmUp = "1h",
    labels: Labels = None,
    output: Output = Format.TABLE,
) -> None:
    """Replay two versions over the same history, side by side: the evidence that a release needs."""
    api, period = connect(), _period(since, until, warm_up, labels)
    other, at, number = against.partition("@")
    beside = (other, number) if at else (model, against)
    first, second = _run(api, [_ask(api, *each, period) for each in ((model, version), beside)])
    if output is Format.JSON:
        show({"candidate": first, "champion": second})
        return
    _side_by_side(first, second)
    _only(first, second)
    _only(second, first)


@app.command()
def release(
    model: Model,
    version: str,
    reason: Annotated[str, typer.Option(help="One sentence.")],
    stage: Annotated[str, typer.Option(help="shadow, live or retired")] = "live",
    accept_unknown: models.AcceptUnknown = False,
) -> None:
    """Release a version: as shadow first, then live, once it won a comparison with the one that is."""
    models.release(model, version, stage, reason, accept_unknown=accept_unknown)


@app.command()
def rollback(model: Model, reason: Annotated[str, typer.Option(help="One sentence.")]) -> None:
    """Put the version that was live before back."""
    models.rollback(model, reason)


def _value(given: str, text: str) -> Any:
    """A setting's value: JSON, or the text as it stands where it is none."""
    if not text:
        fail(f"--set {given!r} has no value", Exit.USAGE)
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, float) and not math.isfinite(value):
        fail(f"--set {given!r}: a number must be finite", Exit.USAGE)
    return value


def _period(since: str, until: str, warm_up: str, labels: Path | None) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    start, end = moment(since, now), moment(until, now)
    if end <= start:
        fail(f"the period ends at {end.isoformat()}, which is not after its start {start.isoformat()}", Exit.USAGE)
    known = []
    if labels is not None:
        try:
            known = json.loads(labels.read_text())
        except (OSError, ValueError) as error:
            fail(f"{labels} cannot be read: {error}", Exit.USAGE)
    return {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "warm_up_s": seconds(warm_up),
        "labels": known,
    }


def _ask(api: Api, model: str, version: str, period: dict[str, Any]) -> str:
    return str(api.post("/api/v1/backtests", {"model": model, "version": version, **period})["id"])


def _run(api: Api, ids: list[str]) -> list[dict[str, Any]]:
    """Wait for the ends, showing how far they are."""
    import time

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    done: dict[str, dict[str, Any]] = {}
    with Progress(*columns, transient=True, console=Console(stderr=True)) as progress:
        tasks = {one: progress.add_task("replaying history", total=1.0) for one in ids}
        while len(done) < len(ids):
            for one in ids:
                found = api.get(f"/api/v1/backtests/{one}")
                title = f"{found['model']}@{found['version']}"
                progress.update(tasks[one], completed=found["done"], description=title)
                if found["state"] == "failed":
                    fail(f"{title}: {found['error']}")
                if found["state"] == "done":
                    done[one] = found
            time.sleep(0.3)
    return [done[one] for one in ids]


def _rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    delay = figures["median_delay_s"]
    per_s = figures["points"] / max(figures["seconds"], 1e-9)
    short = figures["observed_s"] < _DAY_S
    often = "too little to say how often a week" if short else f"{figures['pages_per_week']:g} a week"
    found = f"{figures['found']} of {figures['labels']}" if figures["labels"] else "none is labelled: cannot tell"
    return [
        ("telemetry in the period", f"{figures['observed_s'] / 3600:.1f} h"),
        ("would have paged", f"{figures['pages']} times, {often}"),
        ("labelled incidents found", found),
        ("labels outside, not counted", str(figures["outside"])),
        ("their cause named first", str(figures["first"])),
        ("median delay", "-" if delay is None else f"{delay:g} s"),
        ("false pages", str(figures["noise"])),
        ("repeated pages", str(figures["repeats"])),
        ("alerts, findings", f"{figures['alerts']}, {figures['findings']}"),
        ("cost of a day", f"{figures['cpu_s_per_day']:g} CPU seconds"),
        ("replayed", f"{figures['points']:,} points of {figures['series']:,} series, {per_s / 1e6:.2f} M/s"),
    ]


def _kinds(figures: dict[str, Any]) -> dict[str, str]:
    """What was found of each kind of entity."""
    return {
        each["kind"] or "unnamed": f"{each['found']} of {each['labels']} found, {each['noise']} false"
        + ("" if each["median_delay_s"] is None else f", after {each['median_delay_s']:g} s")
        for each in figures["classes"]
    }


def _side_by_side(one: dict[str, Any], other: dict[str, Any]) -> None:
    both = list(zip(_rows(one["figures"]), _rows(other["figures"]), strict=True))
    kinds, beside = _kinds(one["figures"]), _kinds(other["figures"])
    both += [((kind, kinds.get(kind, "-")), (kind, beside.get(kind, "-"))) for kind in sorted({*kinds, *beside})]
    table(
        ("", f"{one['model']}@{one['version']}", f"{other['model']}@{other['version']}"),
        ((name, value, beside) for (name, value), (_, beside) in both),
        empty="",
    )


def _report(done: dict[str, Any]) -> None:
    rows = [*_rows(done["figures"]), *_kinds(done["figures"]).items()]
    table((f"{done['model']}@{done['version']}", f"{done['start']} to {done['end']}"), rows, empty="")
    rule_files.outcomes(done["outcomes"])
    table(
        ("detected", "severity", "incident", "first suspect", "label"),
        (
            (
                p["detected"],
                p["severity"],
                p["title"],
                p["suspect"] or "-",
                ("noise: " if p["noise"] else "") + p["label"],
            )
            for p in done["pages"]
        ),
        empty="Nothing would have paged.",
    )
    if done["missed"]:
        table(
            ("missed", "began", "cause"),
            ((m["name"], m["start"], ", ".join(m["entities"]) or "-") for m in done["missed"]),
            empty="",
        )


def _only(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Pages of one that have none of the other within a minute."""
    times = [datetime.fromisoformat(page["detected"]) for page in other["pages"]]
    alone = [
        page
        for page in one["pages"]
        if all(abs((datetime.fromisoformat(page["detected"]) - moment).total_seconds()) > _SAME_S for moment in times)
    ]
    if alone:
        table(
            (f"only {one['model']}@{one['version']}", "incident", "first suspect"),
            ((page["detected"], page["title"], page["suspect"] or "-") for page in alone),
            empty="",
        )


def _list_backtests(items: list[dict[str, Any]]) -> None:
    table(
        ("backtest", "version", "when", "state", "pages", "found", "false"),
        (
            (
                one["id"][:8],
                one["version"],
                ago(one["created"]) + " ago",
                one["state"],
                one["figures"]["pages"] if one["figures"] else "-",
                f"{one['figures']['found']} of {one['figures']['labels']}" if one["figures"] else "-",
                one["figures"]["noise"] if one["figures"] else "-",
            )
            for one in items
        ),
        empty="No backtest yet. `twofold detectors backtest` makes one.",
    )
