"""Rule files under a name: versions of kind `rules`, listed and replayed beside the detectors they are held against.

Belongs to joint 1. Nothing here runs them: their only use is a backtest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from twofold.aiops.detect.rules import Book, read_rules
from twofold.errors import Conflict, InputError
from twofold.mlops.registry.registry import Registry
from twofold.records.model import GateResult, ModelKind, ModelVersion, Project
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

_TEXT: Final = "rules"
_OWN: Final = frozenset({"panel", "causes", "capacity", _TEXT})


def import_rules(
    ledger: Ledger, blobs: Blobs, name: str, text: str, *, description: str, owner: str, tenant: str
) -> ModelVersion:
    """Register a rule file as the next version of this name; the same text again gives the version it has.

    Raises:
        InputError: No rule file, or nothing in it can be replayed; a name with `@` in it.
        Conflict: The name is a model's.
    """
    book = read_rules(text)
    if "@" in name:
        raise InputError(f"{name!r} holds an @, which stands between name and version")
    of = {"model": name}
    versions = ledger.find(ModelVersion, tenant=tenant, where=of, limit=1)
    taken = bool(versions) and versions[0].kind is not ModelKind.RULES
    if taken or name in _OWN or ledger.find(Project, tenant=tenant, where=of, limit=1):
        raise Conflict(f"{name!r} is the name of a model; give the rules another one", model=name)
    registry = Registry(ledger, blobs)
    candidate = registry.config_candidate(name, ModelKind.RULES, {_TEXT: text}, owner=owner, description=description)
    return registry.register(replace(candidate, tenant=tenant), (_read(book),))


def rules_of(ledger: Ledger, blobs: Blobs, version: ModelVersion) -> str:
    """The file of a version of kind `rules`; empty for any other."""
    return str(Registry(ledger, blobs).config(version)[_TEXT]) if version.kind is ModelKind.RULES else ""


def _read(book: Book) -> GateResult:
    """How many of its rules can be replayed, as far as reading them tells."""
    refused = [rule for rule in book.rules if rule.refused]
    records = sum(rule.records for rule in book.rules)
    first = f": line {refused[0].line}, {refused[0].name}: {refused[0].refused}" if refused else ""
    return GateResult(
        name="rules_read",
        passed=not refused,
        value=len(book.rules) - len(refused),
        limit=len(book.rules),
        text=f"{len(book.rules) - records} alerts, {records} recordings, {len(refused)} refused{first}",
    )
