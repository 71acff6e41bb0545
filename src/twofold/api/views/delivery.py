"""Pipelines and deployments as people read them."""

from __future__ import annotations

from datetime import datetime

from twofold.api.views.page import View


class Figure(View):
    """The newest value of one series, and the middle of the last 30 days."""

    metric: str
    series: str
    unit: str
    value: float
    median: float
    points: int
    time: datetime


class Delivered(View):
    """A pipeline, or the deployments of an entity to an environment."""

    entity: str
    repository: str = ""
    pipeline: str = ""
    environment: str = ""
    figures: list[Figure]


class Delivery(View):
    """What the last 30 days say."""

    pipelines: list[Delivered]
    deployments: list[Delivered]
