"""Typed steps with approvals and verification, and one durable run of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from twofold.records.entity import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One typed step.

    Attributes:
        action: Name in the registry of actions; never a shell string.
        arguments: Validated against the action's own schema; `${entity}`, `${version}` … are filled from the suspect.
        idempotent: Safe to run again after a crash. Otherwise an interrupted step becomes UNKNOWN.
    """

    name: str
    action: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    idempotent: bool = False
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """When a runbook is proposed: the top suspect must satisfy every field that is set."""

    entity_kind: str = ""
    entity: str = ""
    change: str = ""
    signal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Recovery must show in the same signals that opened the incident.

    Attributes:
        within_s: Signals must be back in their band within this time after the last step.
    """

    within_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A remedy, read from YAML."""

    id: str
    title: str
    description: str
    match: tuple[Match, ...]
    steps: tuple[Step, ...]
    verify: Verification = field(default_factory=Verification)
    approvals: int = 1
    cooldown_s: float = 300.0
    blast_radius: int = 1
    tenant: str = DEFAULT_TENANT


class ExecutionState(StrEnum):
    """Life of an execution."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class StepState(StrEnum):
    """Life of one step. UNKNOWN: interrupted, effect not known; a person must decide."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One step as it ran."""

    name: str
    action: str
    state: StepState = StepState.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One durable run of a runbook.

    Attributes:
        approval_hash: SHA-256 over (runbook, arguments, targets, expiry): what an approver signs.
        targets: Entity ids that the steps may touch.
        requester, approver: User names; must differ.
    """

    id: str
    runbook: str
    title: str
    incident: str
    state: ExecutionState
    targets: tuple[str, ...]
    arguments: Mapping[str, Any]
    approval_hash: str
    expires: datetime
    created: datetime
    steps: tuple[StepRun, ...] = field(default_factory=tuple)
    requester: str = "twofold"
    approver: str = ""
    approved_at: datetime | None = None
    ended: datetime | None = None
    result: str = ""
    dry_run: bool = False
    tenant: str = DEFAULT_TENANT
