"""Model versions: what was trained, from what, how it did, and its bytes.

One register for users' models and for our own detectors: a detector is a version of kind
`DETECTOR` and format `config`, whose artifact is its configuration as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from twofold.errors import Corrupt, InputError, Unsupported
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import Candidate, GateResult, ModelKind, ModelVersion
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

CONFIG: Final = "config"
_CONTENT: Final = "sha256/"


def utc_now() -> datetime:
    """The wall clock: registering is an act, not a stage."""
    return datetime.now(UTC)


class Registry:
    """Registers versions in the ledger and their bytes as blobs. Numbers count 1, 2, 3 per model, without gaps."""

    def __init__(self, ledger: Ledger, blobs: Blobs, now: Callable[[], datetime] = utc_now) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._now = now

    def register(self, candidate: Candidate, gates: Sequence[GateResult]) -> ModelVersion:
        """Register a result as the model's next version. The same run again gives the version it already has.

        Raises:
            NotFound: The artifact is no blob.
            InputError: The candidate has no model name, or its artifact no content key.
        """
        model, tenant = candidate.model, candidate.tenant
        if not model or not candidate.artifact.startswith(_CONTENT):
            raise InputError(
                f"a version needs a model name and an artifact's content key; got {model!r} and {candidate.artifact!r}"
            )
        self._blobs.get(candidate.artifact)
        where = {"model": model, "run": candidate.run}
        if candidate.run and (known := self._ledger.find(ModelVersion, tenant=tenant, where=where, limit=1)):
            return known[0]

        def build(_newest: ModelVersion | None) -> ModelVersion:
            number = str(self._ledger.count(ModelVersion, tenant=tenant, where={"model": model}) + 1)
            return ModelVersion(
                id=f"{model}@{number}",
                model=model,
                version=number,
                kind=candidate.kind,
                format=candidate.format,
                artifact=candidate.artifact,
                artifact_sha256=candidate.artifact.removeprefix(_CONTENT),
                created=self._now(),
                run=candidate.run,
                dataset=candidate.dataset,
                inputs=candidate.inputs,
                outputs=candidate.outputs,
                metrics=candidate.metrics,
                gates=tuple(gates),
                reference=candidate.reference,
                owner=candidate.owner,
                description=candidate.description,
                tenant=tenant,
            )

        return self._ledger.append_next(ModelVersion, build, tenant=tenant, where={"model": model})

    def config_candidate(
        self, model: str, kind: ModelKind, config: Mapping[str, Any], *, owner: str, description: str = ""
    ) -> Candidate:
        """A detector, ranker or other part of our own as a candidate: format `config`, its settings as canonical JSON.

        The run is named by the content, so registering the same settings twice gives one version.
        """
        data = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        key = self._blobs.add(data)
        return Candidate(
            model=model,
            kind=kind,
            format=CONFIG,
            artifact=key,
            run=f"config:{key.removeprefix(_CONTENT)[:16]}",
            owner=owner,
            description=description,
        )

    def config(self, version: ModelVersion) -> dict[str, Any]:
        """The settings in a version of format `config`. Raises `Unsupported` for another format, or `Corrupt`."""
        if version.format != CONFIG:
            raise Unsupported(f"{version.id} has format {version.format!r}, not {CONFIG!r}", format=version.format)
        loaded = json.loads(self.artifact(version))
        if not isinstance(loaded, dict):
            raise Corrupt(f"{version.id}: its settings are no JSON object")
        return loaded

    def version(self, model: str, version: str, *, tenant: str = DEFAULT_TENANT) -> ModelVersion:
        """One version. Raises `NotFound`."""
        return self._ledger.get(ModelVersion, f"{model}@{version}", tenant=tenant)

    def artifact(self, version: ModelVersion) -> bytes:
        """The version's bytes. Raises `NotFound`, or `Corrupt` when they are not those that were registered."""
        data = self._blobs.get(version.artifact)
        if (found := sha256(data).hexdigest()) != version.artifact_sha256:
            raise Corrupt(f"{version.id}: artifact has SHA-256 {found}, registered was {version.artifact_sha256}")
        return data
