"""Retraining a detector on people's verdicts, a project like any other: labels, search, hold-out, gates, shadow.

Belongs to joints 1 and 5. The data are the verdicts, as a dataset version, and this installation's own history; the
training is a search for settings by backtests; what comes out is a version that goes the way of every other.
The hold-out is later in time than all that was learnt from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from twofold.aiops.detect.config import PanelConfig
from twofold.errors import Conflict, InputError, NotFound, Permanent, TwofoldError
from twofold.flow.workflow import Context, Json
from twofold.joints.backtests import Backtests
from twofold.joints.contest import contest
from twofold.joints.hindsight import labels_of
from twofold.joints.labels import snapshot_verdicts
from twofold.joints.probation import judge_panel
from twofold.joints.search import candidates, loss_of, parted
from twofold.joints.successions import end_superseded
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases, utc_now
from twofold.records.alert import Alert
from twofold.records.backtest import Backtest, Label
from twofold.records.codec import from_json, to_json
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import GateResult, ModelKind, Project, ReleaseStage, Run, RunState
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

NAME: Final = "tune"
"""Name under which the workflow is registered. Its id is the run's id."""
MODEL: Final = "panel"
PROJECT: Final = "panel"
OWNER: Final = "twofold"
_MOST: Final = 1000
_STEP_S: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training may use; a run's parameters, by these names.

    Attributes:
        days: How far back verdicts and telemetry are taken.
        trials: Settings tried besides the live ones.
        holdout: Share of the labels, the latest, that is only judged on.
        least_labels: Fewer judged incidents teach nothing.
        warm_up_s: Telemetry before a period that is only learnt from.
    """

    days: float = 14.0
    trials: int = 12
    holdout: float = 0.3
    least_labels: int = 6
    warm_up_s: float = 3600.0

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Plan:
        """From a run's parameters. Raises `InputError` for a name or a value that it does not know."""
        kinds: dict[str, type[int | float]] = {
            "days": float,
            "trials": int,
            "holdout": float,
            "least_labels": int,
            "warm_up_s": float,
        }
        if unknown := sorted(given.keys() - kinds.keys()):
            raise InputError(f"training a detector has no parameter {', '.join(unknown)}; it has {', '.join(kinds)}")
        try:
            plan = cls(**{name: kinds[name](value) for name, value in given.items()})  # type: ignore[arg-type]  # by name
        except ValueError as error:
            raise InputError(f"a parameter of the training is no number: {error}") from error
        if not (0 < plan.days <= 366 and 1 <= plan.trials <= 500 and 0 < plan.holdout < 1):  # noqa: PLR2004 - a year
            raise InputError("days must be at most 366, trials 1 to 500, holdout between 0 and 1")
        if plan.least_labels < 2 or plan.warm_up_s < 0:  # noqa: PLR2004 - one to learn from, one to judge on
            raise InputError("least_labels must be 2 or more, warm_up_s not below 0")
        return plan


def ensure_project(ledger: Ledger, *, tenant: str = DEFAULT_TENANT) -> Project:
    """The project of the detector of series, beside users' projects."""
    project = Project(
        id=PROJECT,
        title="Panel detector of series, trained on verdicts",
        owner=OWNER,
        risk="minimal",
        model=MODEL,
        path="",
        kind=ModelKind.DETECTOR,
        tenant=tenant,
    )
    ledger.put(project)
    return project


class Tuning:
    """Trains the detector. `run` is the workflow function; its arguments are `run` and `tenant`.

    Every trial is a step of its own, so a crash repeats one trial, not the search.
    """

    def __init__(
        self, ledger: Ledger, blobs: Blobs, backtests: Backtests, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._ledger, self._blobs, self._backtests, self._now = ledger, blobs, backtests, now
        self._registry, self._releases = Registry(ledger, blobs, now), Releases(ledger, now)

    def run(self, context: Context, arguments: Mapping[str, Json]) -> Json:
        """The workflow. What cannot be trained is a failed run in the ledger, not an exception."""
        key, tenant = str(arguments["run"]), str(arguments["tenant"])
        try:
            return self._work(context, key, tenant)
        except TwofoldError as error:
            self._end(key, tenant, state=RunState.FAILED, error=error.message)
            return {"run": key, "state": RunState.FAILED.value, "error": error.message}

    def _work(self, context: Context, key: str, tenant: str) -> Json:
        began = _step(context, "snapshot", lambda: self._begin(key, tenant))
        run = self._ledger.get(Run, key, tenant=tenant)
        plan, live = Plan.of(run.parameters), from_json(PanelConfig, began["live"])
        labels = [from_json(Label, one) for one in began["labels"]]
        learnt, held = parted(labels, plan.holdout)
        start, cut, end = (datetime.fromisoformat(began[name]) for name in ("start", "cut", "end"))
        best, least = live, float("inf")
        losses: list[float] = []
        for number, config in enumerate(candidates(live, plan.trials, run.seed, began["noisy"])):
            asked = self._asked(f"{key}-{number}", run, start, cut, learnt, plan)
            loss = _step(context, f"trial {number}", partial(self._trial, asked, config))
            losses.append(loss)
            if loss < least:
                best, least = config, loss
        metrics = {"loss_live": losses[0], "loss": least, "trials": float(len(losses)), "labels": float(len(labels))}
        if best == live:
            self._end(key, tenant, state=RunState.SUCCEEDED, metrics=metrics | {"better": 0.0})
            return {"run": key, "state": RunState.SUCCEEDED.value, "version": ""}
        asked = self._asked(f"{key}-held", run, cut, end, held, plan)
        version = _step(context, "gate and register", lambda: self._register(run, best, began, asked, metrics))
        release = _step(context, "release", lambda: self._release(version, run, tenant))
        self._end(key, tenant, state=RunState.SUCCEEDED, metrics=metrics | {"better": 1.0})
        return {"run": key, "state": RunState.SUCCEEDED.value, "version": version, "release": release}

    def _begin(self, key: str, tenant: str) -> Json:
        """Labels, period and live settings as they stand: what the training is reproducible from."""
        run, now = self._ledger.get(Run, key, tenant=tenant), self._now()
        plan = Plan.of(run.parameters)
        number = self._releases.live(MODEL, tenant=tenant)
        if not number:
            raise Conflict(f"no version of {MODEL} is live; there is nothing to train from")
        live = self._registry.config(self._registry.version(MODEL, number, tenant=tenant))
        since = now - timedelta(days=plan.days)
        labels = labels_of(self._ledger, since, now, tenant=tenant)
        learnt, held = parted(labels, plan.holdout) if labels else ([], [])
        if len(labels) < plan.least_labels or not learnt:
            raise InputError(
                f"{len(labels)} incidents of the last {plan.days:g} days are judged, {plan.least_labels} are needed; "
                "say of more of them whether they were right, wrong or noise"
            )
        start = min(one.start for one in learnt) - timedelta(minutes=5)
        cut = held[0].start - timedelta(seconds=1)
        dataset = snapshot_verdicts(self._ledger, self._blobs, tenant=tenant, now=now)
        self._ledger.put(replace(run, state=RunState.RUNNING, dataset=dataset.id))
        noisy = self._noisy([one for one in learnt if one.noise], [one for one in learnt if not one.noise], tenant)
        return {
            "live": live,
            "labels": to_json(labels),
            "noisy": noisy,
            "start": start.isoformat(),
            "cut": cut.isoformat(),
            "end": now.isoformat(),
        }

    def _noisy(self, noise: Sequence[Label], right: Sequence[Label], tenant: str) -> list[str]:
        """Metrics that alerts of noise speak of more often than those of right incidents, most often first."""
        count: Counter[str] = Counter()
        for labels, weight in ((noise, 1), (right, -1)):
            for label in labels:
                alerts = self._ledger.find(Alert, tenant=tenant, where={"incident": label.name}, limit=_MOST)
                count.update(dict.fromkeys({alert.signal for alert in alerts}, weight))
        return [metric for metric, many in count.most_common() if many > 0]

    def _asked(
        self, key: str, run: Run, start: datetime, end: datetime, labels: Sequence[Label], plan: Plan
    ) -> Backtest:
        return Backtest(
            id=key,
            model=MODEL,
            version="",
            start=start,
            end=end,
            warm_up_s=plan.warm_up_s,
            requester=run.requester,
            created=self._now(),
            labels=tuple(labels),
            tenant=run.tenant,
        )

    def _trial(self, asked: Backtest, config: PanelConfig) -> float:
        """The loss of settings on the past that may be learnt from."""
        done = self._backtests.judge(asked, config=config)
        if done.figures is None:
            raise InputError(f"backtest {asked.id} gave no figures")
        days = (asked.end - asked.start).total_seconds() / 86_400.0
        return loss_of(done.figures, sum(label.noise for label in asked.labels), days)

    def _register(self, run: Run, best: PanelConfig, began: Json, asked: Backtest, metrics: Mapping[str, float]) -> str:
        """Judge on the hold-out beside the live version, and register with what the gates said.

        The two backtests stay in the ledger: they are the contest that a release asks for.
        """
        number = self._releases.live(MODEL, tenant=run.tenant)
        champion = self._backtests.judge(replace(asked, id=f"{run.id}-champion", version=number))
        ours = self._backtests.judge(replace(asked, id=f"{run.id}-candidate"), config=best)
        found = contest(ours, champion)
        candidate = self._registry.config_candidate(
            MODEL, ModelKind.DETECTOR, to_json(best), owner=run.requester or OWNER, description=_words(began, best)
        )
        told = [gate for gate in found.gates if not gate.unknown]  # the rest is asked again before it goes live
        gates: tuple[GateResult, ...] = (*judge_panel(best), *told)
        version = self._registry.register(
            replace(
                candidate,
                run=run.id,
                dataset=self._ledger.get(Run, run.id, tenant=run.tenant).dataset,
                metrics=dict(metrics),
                tenant=run.tenant,
            ),
            gates,
        )
        self._ledger.put(champion, replace(ours, version=version.version))
        return version.version

    def _release(self, version: str, run: Run, tenant: str) -> str:
        """As a shadow, when all gates passed; a person puts it live."""
        found = self._registry.version(MODEL, version, tenant=tenant)
        if not all(gate.passed for gate in found.gates):
            return ""
        approver = run.requester or OWNER
        try:
            made = self._releases.release(
                MODEL,
                version,
                ReleaseStage.SHADOW,
                approver=approver,
                reason=f"trained on {found.dataset} and better on the hold-out",
                tenant=tenant,
            )
        except Conflict:  # a crash cut the first try off after its entry was written
            known = [one for one in self._releases.history(MODEL, tenant=tenant) if one.version == version]
            if not known:
                raise
            made = known[-1]
        end_superseded(self._releases, MODEL, version, approver=approver, tenant=tenant)
        return made.id

    def _end(self, key: str, tenant: str, **changes: Any) -> None:
        try:
            self._ledger.update(Run, key, lambda run: replace(run, ended=self._now(), **changes), tenant=tenant)
        except NotFound:
            return  # nobody asked in this ledger


def _step(context: Context, name: str, call: Callable[[], Json]) -> Json:
    """A step whose refusal is kept as its answer: it would be refused again. Raises `InputError` with its words."""

    def answer() -> Json:
        try:
            return {"value": call(), "error": ""}
        except Permanent as error:
            return {"value": None, "error": error.message}

    found = context.step(name, answer, idempotent=True, timeout_s=_STEP_S)
    if found["error"]:
        raise InputError(found["error"])
    return found["value"]


def _words(began: Json, best: PanelConfig) -> str:
    """What was changed."""
    live, now = began["live"], to_json(best)
    changed = [f"{name} {live.get(name)} to {value}" for name, value in now.items() if live.get(name) != value]
    return f"Trained on verdicts: {', '.join(changed)}."[:500]
