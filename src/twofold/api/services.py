"""What routes call: stores, and ports to the rooms that act. `app.py` fills it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from prometheus_client import CollectorRegistry

from twofold.errors import NotFound, Unavailable
from twofold.records.access import Setting
from twofold.records.finding import Finding
from twofold.records.model import ModelVersion, Release, ReleaseStage
from twofold.records.runbook import Execution, StepState
from twofold.records.series import Series
from twofold.records.shadow import Rehearsal
from twofold.records.template import LogTemplate
from twofold.records.trust import Trust
from twofold.records.why import Why
from twofold.store.catalog import Catalog
from twofold.store.history import History
from twofold.store.ledger import Ledger
from twofold.store.promql.limits import Limits


class ResponderPort(Protocol):
    """Remedies: proposed, approved by another person, run by the worker."""

    def propose(
        self,
        *,
        runbook: str,
        incident: str,
        arguments: Mapping[str, Any],
        dry_run: bool,
        requester: str,
        tenant: str,
    ) -> Execution:
        """A PROPOSED execution. Raises `NotFound`, `InputError` (arguments), `Conflict` (cooldown, blast radius)."""
        ...

    def approve(self, execution: str, *, approval_hash: str, approver: str, tenant: str) -> Execution:
        """Approve what the hash names. Raises `Conflict` (changed, expired), `Denied` (same person, kill switch)."""
        ...

    def reject(self, execution: str, *, reason: str, actor: str, tenant: str) -> Execution:
        """Turn a proposal down. Raises `Conflict` when it is past that."""
        ...

    def decide(self, execution: str, *, step: str, outcome: StepState, actor: str, tenant: str) -> Execution:
        """Say what an UNKNOWN step did: SUCCEEDED or FAILED. Raises `Conflict` when it is not UNKNOWN."""
        ...

    def kill_switch(self, *, tenant: str) -> Setting | None:
        """The switch as last set (`engaged` or `released`); None when nobody ever touched it."""
        ...

    def set_kill_switch(self, *, engaged: bool, actor: str, tenant: str) -> Setting:
        """Stop or allow every remedy, in every process."""
        ...


class ModelsPort(Protocol):
    """The release ledger's writers and training."""

    def release(
        self,
        model: str,
        *,
        version: str,
        stage: ReleaseStage,
        weight: float | None,
        reason: str,
        actor: str,
        tenant: str,
        accept_unknown: bool = False,
    ) -> Release:
        """Put a version into a stage. Raises `NotFound`, `Conflict` when its gates did not pass.

        `accept_unknown` lets one of our own go live although a gate cannot tell.
        """
        ...

    def rollback(self, model: str, *, reason: str, actor: str, tenant: str) -> Release:
        """Put the version that was live before back. Raises `Conflict` when there is none."""
        ...

    def rehearsal(self, model: str, *, version: str, tenant: str) -> Rehearsal:
        """A shadow beside the live version. Raises `Conflict` when it is no shadow."""
        ...

    def trust(self, model: str, *, tenant: str) -> Trust | None:
        """What people's verdicts say of the live version; None when nothing is live."""
        ...

    def configure(
        self, model: str, settings: Mapping[str, Any], *, description: str, actor: str, tenant: str
    ) -> ModelVersion:
        """A version of one of our own detectors: the live settings with these changed. Raises `InputError`."""
        ...

    def import_rules(self, name: str, text: str, *, description: str, actor: str, tenant: str) -> ModelVersion:
        """A rule file as the next version of its name. Raises `InputError`, `Conflict` when the name is a model's."""
        ...

    def rules(self, version: ModelVersion) -> str:
        """The rule file that a version is; empty when it is none."""
        ...

    def train(
        self,
        project: str,
        *,
        seed: int | None,
        actor: str,
        tenant: str,
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """Start a training; the id of its workflow. Raises `NotFound`, `InputError` for unknown parameters."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that the demo can break."""

    name: str
    title: str
    description: str
    active: bool = False
    since: float | None = None
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoState:
    """What the demo runs."""

    available: bool
    faults: tuple[Fault, ...] = ()
    services: tuple[str, ...] = ()


class DemoPort(Protocol):
    """The demo's control server. Called in a worker thread."""

    def state(self) -> DemoState:
        """What can be broken and what is."""
        ...

    def break_fault(self, name: str, *, seconds: float | None) -> None:
        """Switch a fault on. Raises `NotFound`, `Unavailable`."""
        ...

    def mend_fault(self, name: str) -> None:
        """Switch it off."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """How Twofold itself does."""

    points_per_s: float = 0.0
    lag_s: float = 0.0
    journal_bytes: int = 0


class PulsePort(Protocol):
    """Facts about the running parts."""

    def pulse(self) -> Pulse:
        """Rates and lags now."""
        ...

    def problems(self) -> Mapping[str, str]:
        """Part name to what is wrong with it; empty means ready."""
        ...


class BandsPort(Protocol):
    """The band in which a detector expects a series."""

    def band(
        self, series: Series, time_ns: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """Low and high at these times, NaN where unknown; None when no detector watches the series."""
        ...


class ExplainPort(Protocol):
    """Why findings stand."""

    def why(self, finding: Finding, series: Series) -> Why:
        """Why it fired and what would silence it, as far as that can be told."""
        ...


class TemplatesPort(Protocol):
    """What log lines say, as mined so far."""

    @property
    def by_model(self) -> bool:
        """Whether a model of meaning takes part in the search."""
        ...

    def templates(self, tenant: str) -> Sequence[LogTemplate]:
        """All templates with a line, the most lines first."""
        ...

    def search(self, question: str, templates: Sequence[LogTemplate], *, tenant: str) -> Sequence[tuple[int, float]]:
        """Id and nearness of all that share something with a question in plain words, the nearest first.

        `templates` are all of the tenant.
        """
        ...


class NoDemo:
    """No demo runs beside this Twofold."""

    def state(self) -> DemoState:
        """Nothing to break."""
        return DemoState(available=False)

    def break_fault(self, name: str, *, seconds: float | None) -> None:
        """Always `Unavailable`."""
        raise Unavailable(f"no demo runs here, so {name!r} cannot be broken for {seconds} s; start `twofold demo`")

    def mend_fault(self, name: str) -> None:
        """Always `NotFound`."""
        raise NotFound(f"no demo runs here, so nothing named {name!r} is broken")


class StillPulse:
    """For programs that only serve the API."""

    def pulse(self) -> Pulse:
        """All zero."""
        return Pulse()

    def problems(self) -> Mapping[str, str]:
        """None."""
        return {}


class NoBands:
    """No detector runs in this process; bands come from findings alone."""

    def band(
        self,
        series: Series,  # noqa: ARG002 - the port's signature
        time_ns: npt.NDArray[np.int64],  # noqa: ARG002 - the port's signature
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """Always None."""
        return None


class NoReasons:
    """No detector runs in this process."""

    def why(self, finding: Finding, series: Series) -> Why:  # noqa: ARG002 - the port's signature
        """Nothing beyond what the finding says."""
        return Why(reasons=(finding.reason,), silencers=())


class NoTemplates:
    """No lines are mined in this process."""

    by_model = False

    def templates(self, tenant: str) -> Sequence[LogTemplate]:  # noqa: ARG002 - the port's signature
        """None."""
        return ()

    def search(
        self,
        question: str,  # noqa: ARG002 - the port's signature
        templates: Sequence[LogTemplate],  # noqa: ARG002 - the port's signature
        *,
        tenant: str,  # noqa: ARG002 - the port's signature
    ) -> Sequence[tuple[int, float]]:
        """None."""
        return ()


class KeptPort(Protocol):
    """Traces that outlive the history's spans."""

    def get(self, trace_id: str, *, tenant: str) -> pa.Table | None:
        """The spans, as `History.trace` gives them; None when they were not kept."""
        ...


class NothingKept:
    """The history is all there is."""

    def get(self, trace_id: str, *, tenant: str) -> pa.Table | None:
        """None."""
        del trace_id, tenant
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that routes may use."""

    ledger: Ledger
    history: History
    catalog: Catalog
    responder: ResponderPort
    models: ModelsPort
    demo: DemoPort = field(default_factory=NoDemo)
    pulse: PulsePort = field(default_factory=StillPulse)
    bands: BandsPort = field(default_factory=NoBands)
    promql: Limits = field(default_factory=Limits)
    """Bounds of one query of the Prometheus API."""
    explain: ExplainPort = field(default_factory=NoReasons)
    templates: TemplatesPort = field(default_factory=NoTemplates)
    kept: KeptPort = field(default_factory=NothingKept)
    slos: frozenset[str] | None = None
    """Names of the objectives that the settings declare; None shows all that were ever counted."""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """Self metrics, shown on /metrics."""
