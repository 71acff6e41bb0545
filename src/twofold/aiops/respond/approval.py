"""What an approver signs: a hash over everything that the execution will do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from twofold.records.runbook import Runbook


def approval_hash(
    runbook: Runbook, arguments: Mapping[str, Any], targets: Sequence[str], expires: datetime, *, dry_run: bool
) -> str:
    """SHA-256 over (runbook, arguments, targets, expiry): a change of any of them voids the approval."""
    signed = {
        "runbook": asdict(runbook),
        "arguments": dict(arguments),
        "targets": sorted(targets),
        "expires": expires.isoformat(),
        "dry_run": dry_run,
    }
    return hashlib.sha256(orjson.dumps(signed, option=orjson.OPT_SORT_KEYS)).hexdigest()
