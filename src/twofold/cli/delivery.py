"""`twofold delivery`: pipelines and deployments, from commit to users."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, ago, show, table

_DAY_S = 86_400.0


def delivery(
    entity: Annotated[str, typer.Option(help="Only of this entity.")] = "", output: Output = Format.TABLE
) -> None:
    """How pipelines and deployments did: newest value, and the median of 30 days in brackets."""
    found = connect().get("/api/v1/delivery", entity=entity)
    if output is Format.JSON:
        show(found)
        return
    table(
        ("pipeline", "duration", "waited", "failed", "last run"),
        (
            (
                f"{one['repository']} {one['pipeline']}",
                _figure(one, "ci.pipeline.duration"),
                _figure(one, "ci.pipeline.queued"),
                _figure(one, "ci.pipeline.failed_ratio"),
                _last(one),
            )
            for one in found["pipelines"]
        ),
        empty="No pipeline has told of a run. Webhooks of GitHub, GitLab and CDEvents are taken; see the documents.",
    )
    table(
        ("deployments of", "to", "lead time", "a day", "failed", "restored after", "last"),
        (
            (
                one["entity"],
                one["environment"],
                _figure(one, "deploy.lead_time"),
                _figure(one, "deploy.frequency"),
                _figure(one, "deploy.change_failure_ratio"),
                _figure(one, "deploy.recovery_time"),
                _last(one),
            )
            for one in found["deployments"]
        ),
        empty="No deployment was told.",
    )


def _figure(one: dict[str, Any], metric: str) -> str:
    figure = next((each for each in one["figures"] if each["metric"] == metric), None)
    if figure is None:
        return "-"
    if figure["unit"] == "s":
        return f"{_span(figure['value'])} ({_span(figure['median'])})"
    if figure["unit"] == "1":
        return f"{figure['value']:.0%} ({figure['median']:.0%})"
    return f"{figure['value']:.2g} ({figure['median']:.2g})"


def _span(seconds: float) -> str:
    """A span of time in its largest unit.

    >>> _span(95), _span(7200), _span(200_000)
    ('1.6 min', '2.0 h', '2.3 d')
    """
    for size, unit in ((_DAY_S, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _last(one: dict[str, Any]) -> str:
    return ago(max(figure["time"] for figure in one["figures"])) + " ago"
