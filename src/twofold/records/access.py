"""Who may do what, and the chained record of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class Role(StrEnum):
    """Roles, from least to most."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    APPROVER = "approver"
    ML_ENGINEER = "ml-engineer"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a route may ask for. `PUBLIC` is declared like any other, so that nothing is open by omission."""

    PUBLIC = "public"
    SEND = "telemetry:send"
    INFER = "model:infer"
    READ = "read"
    RESPOND = "incident:respond"
    APPROVE = "runbook:approve"
    TRAIN = "model:train"
    RELEASE = "model:release"
    BREAK = "demo:break"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or a service account."""

    id: str
    name: str
    role: Role
    secret_hash: str
    created: datetime
    disabled: bool = False
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token or a session; only its SHA-256 is kept."""

    id: str
    user: str
    name: str
    kind: str
    scopes: tuple[str, ...]
    sha256: str
    created: datetime
    expires: datetime | None = None
    revoked: bool = False
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audited act; `sha256` covers this record and the previous one's hash."""

    id: str
    seq: int
    time: datetime
    actor: str
    action: str
    target: str
    previous_sha256: str
    sha256: str
    detail: Mapping[str, str] = field(default_factory=dict)
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One switch that people turn while Twofold runs, such as `kill-switch`; every process reads it from the ledger."""

    id: str
    value: str
    changed: datetime
    author: str
    tenant: str = DEFAULT_TENANT
