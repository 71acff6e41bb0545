"""Runbooks from YAML, and which of them fits a suspect."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml

from twofold.aiops.respond.actions import Actions
from twofold.errors import ConfigError, TwofoldError
from twofold.records.diagnosis import EvidenceKind, Suspect
from twofold.records.runbook import Match, Runbook, Step, Verification

_LIMIT: Final = 50


def load_runbooks(folders: Iterable[Path], actions: Actions) -> list[Runbook]:
    """The shipped runbooks and those in the given folders; a later one replaces an earlier one of the same id.

    A shipped runbook whose actions are not offered here (a program without models) is left out.

    Raises:
        ConfigError: A file is not a runbook, or names an unknown action; the message names the place.
    """
    shipped = [_parse(f"twofold/{f.name}", f.read_text()) for f in _shipped()]
    known = set(actions.names())
    found = {runbook.id: runbook for runbook in shipped if {step.action for step in runbook.steps} <= known}
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        runbook = _parse(str(path), path.read_text())
        if unknown := {step.action for step in runbook.steps} - known:
            raise ConfigError(f"{path}: no action {sorted(unknown)}; known: {sorted(known)}")
        found[runbook.id] = runbook
    return list(found.values())


def fitting(runbooks: Sequence[Runbook], suspect: Suspect, change: str) -> list[Runbook]:
    """Runbooks whose match the suspect satisfies, most specific first.

    Args:
        runbooks: Candidates.
        suspect: What they must fit.
        change: Kind of the suspect's change (`deploy`, `promotion` …), empty without one.
    """
    scored = [(_fit(runbook.match, suspect, change), runbook) for runbook in runbooks]
    return [runbook for fit, runbook in sorted(scored, key=lambda pair: -pair[0]) if fit > 0]


def fill(arguments: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Arguments with `${name}` replaced. Raises `ConfigError` for a name that is not known."""
    try:
        return {
            key: string.Template(value).substitute(values) if isinstance(value, str) else value
            for key, value in arguments.items()
        }
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"arguments {dict(arguments)} use an unknown name {error}; known: {sorted(values)}"
        ) from error


def _shipped() -> list[Any]:
    folder = resources.files("twofold.aiops.respond") / "runbooks"
    return sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)


def _fit(matches: Sequence[Match], suspect: Suspect, change: str) -> int:
    return max((_points(match, suspect, change) for match in matches), default=0)


def _points(match: Match, suspect: Suspect, change: str) -> int:
    kind = suspect.entity.partition(":")[0]
    metrics = [e.attributes.get("metric", "") for e in suspect.evidence if e.kind is EvidenceKind.SERIES]
    tests = (
        (match.entity_kind, kind == match.entity_kind, 1),
        (match.change, change == match.change, 4),
        (match.signal, any(fnmatchcase(metric, match.signal) for metric in metrics), 2),
        (match.entity, fnmatchcase(suspect.entity, match.entity), 8),
    )
    asked = [(passed, points) for wanted, passed, points in tests if wanted]
    return sum(points for _, points in asked) if asked and all(passed for passed, _ in asked) else 0


def _parse(place: str, text: str) -> Runbook:
    try:
        document = yaml.safe_load(text)
        runbook = Runbook(
            id=document["id"],
            title=document["title"],
            description=document.get("description", "").strip(),
            match=tuple(Match(**match) for match in document.get("match", [])),
            steps=tuple(Step(**step) for step in document["steps"]),
            verify=Verification(**document.get("verify", {})),
            **{key: document[key] for key in ("approvals", "cooldown_s", "blast_radius") if key in document},
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, TwofoldError) as error:
        raise ConfigError(f"{place} is not a runbook: {type(error).__name__} {error}") from error
    if not 1 <= len(runbook.steps) <= _LIMIT:
        raise ConfigError(f"{place} has {len(runbook.steps)} steps; allowed are 1 to {_LIMIT}")
    if len({step.name for step in runbook.steps}) != len(runbook.steps):
        raise ConfigError(f"{place}: step names must differ")
    return runbook
