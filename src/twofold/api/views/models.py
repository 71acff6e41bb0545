"""Models, their releases and drift."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from twofold.api.views.page import Name, View
from twofold.api.views.topology import Health
from twofold.records.finding import Finding
from twofold.records.model import DatasetVersion, ModelKind, ModelVersion, Project, Release, ReleaseStage, Run


class DriftValue(View):
    """Newest drift of one feature (or of the output: feature empty)."""

    entity: str
    feature: str
    series: str
    value: float | None


class ModelSummary(View):
    """One line of the models list."""

    model: str
    kind: ModelKind
    live_version: str
    owner: str
    versions: int
    health: Health
    drift: list[DriftValue]
    request_rate: float | None


class FeatureDrift(DriftValue):
    """Drift with the open finding that it caused, if any."""

    finding: Finding | None


class Traffic(View):
    """Share of requests that one version answers."""

    version: str
    stage: ReleaseStage
    weight: float


class ModelDetail(View):
    """Everything of one model's page."""

    model: str
    kind: ModelKind
    owner: str
    versions: list[ModelVersion]
    releases: list[Release]
    project: Project | None
    runs: list[Run]
    datasets: list[DatasetVersion]
    drift: list[FeatureDrift]
    traffic: list[Traffic]


class NewRelease(View):
    """`weight` is the canary's share of traffic.

    `accept_unknown` lets a detector of our own go live although a gate cannot tell; never one that failed.
    """

    version: Name
    stage: ReleaseStage
    weight: Annotated[float, Field(ge=0, le=1)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    accept_unknown: bool = False


class Train(View):
    """Without `seed` the project's own counts. `parameters` go before those that the project declares."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    parameters: dict[Name, str] = Field(default_factory=dict, max_length=50)


class Training(View):
    """A started training."""

    workflow_id: str
