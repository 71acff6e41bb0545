"""Findings about whole entities and about pairs, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from twofold.aiops.detect.words import bare, duration, labels_text
from twofold.records.series import Series


def subject(series: Series) -> str:
    """A series among those of its entity.

    >>> subject(Series(sid=1, metric="cpu", entity="service:a", labels={"core": "1"}))
    'cpu (core=1)'
    """
    text = labels_text(series.labels)
    return f"{series.metric} ({text})" if text else series.metric


def usual_sizes(z: float) -> str:
    """How far, in usual sizes.

    >>> usual_sizes(-4.13), usual_sizes(1000.0)
    ('4.1 usual sizes down', 'more than 99 usual sizes up')
    """
    way = "up" if z > 0 else "down"
    return f"{abs(z):.1f} usual sizes {way}" if abs(z) < 100 else f"more than 99 usual sizes {way}"  # noqa: PLR2004 - no more digits tell anything


def moved_together(
    entity: str, moved: int, series: int, drivers: Sequence[tuple[Series, float]], onset: datetime
) -> str:
    """Why a finding about a whole entity opened."""
    most = ", ".join(f"{subject(each)} {usual_sizes(z)}" for each, z in drivers)
    return f"{moved} of the {series} series of {bare(entity)} moved at once at {onset:%H:%M:%S}, most of all {most}"


def calm_again(entity: str, lasted_s: float) -> str:
    """Why it closed."""
    return f"the series of {bare(entity)} move as usual again, after {duration(lasted_s)}"


def parted(left: Series, z: float, other: Series, other_z: float, coupling: float, onset: datetime) -> str:
    """Why a finding about a pair opened."""
    about = bare(left.entity) if left.entity == other.entity else f"{bare(left.entity)} and {bare(other.entity)}"
    return (
        f"{subject(left)} and {subject(other)} of {about} move together (r {coupling:.2f}), but at {onset:%H:%M:%S} "
        f"{subject(left)} went {usual_sizes(z)} while {subject(other)} went {usual_sizes(other_z)}"
    )


def together_again(left: Series, lasted_s: float) -> str:
    """Why it closed."""
    return f"{subject(left)} of {bare(left.entity)} goes with its partner again, after {duration(lasted_s)}"


def no_more_data(entity: str) -> str:
    """Why a finding closed without an answer."""
    return f"{bare(entity)} has sent too little since to tell more"
