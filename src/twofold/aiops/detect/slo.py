"""Error budgets and burn-rate alerts of service level objectives, from spans.

Counts stand in `requests.py`, rules and onsets in `burn.py`, what is left in `budget.py`; this stage feeds them and
remembers what it told.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twofold.aiops.detect.budget import burn_of, status_of
from twofold.aiops.detect.burn import SPEEDS, Rule, Speed, broken, burning_now, kept, onset_of, rate
from twofold.aiops.detect.requests import LONGEST_MIN, MINUTE_NS, Past, Requests
from twofold.errors import Corrupt, DecodeError
from twofold.flow.stage import State
from twofold.records.codec import Json, from_json, to_json
from twofold.records.columns import DerivedSamples, Spans, samples_batch
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.frame import Lane
from twofold.records.series import Origin, Series, SeriesKind, sid_text
from twofold.records.slo import BUDGET, BURN, SLOW_BURN, Slo, distinct
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.store.catalog import Catalog

_SERVER, _CONSUMER = 2, 5
_METRICS: Final = (BURN, SLOW_BURN, BUDGET)
_CATCH_UP_MIN: Final = 720  # minutes judged one by one when event time jumps; older ones are past

Key = tuple[str, str]
"""An objective's name and a speed's metric."""


@dataclass(slots=True)
class _Burn:
    """What was told and still stands.

    Attributes:
        finding: As last told.
        rule: That opened it.
        kept_min: The last minute in which a rule held.
    """

    finding: Finding
    rule: Rule
    kept_min: int


class Slos:
    """Counts every objective's requests, tells what is left of its budget, and alerts on fast burning.

    Suits promises about requests that leave spans. A rare request (fewer than a few an hour) is judged late: its
    errors must be more than chance. What burns fast (`slo.burn_rate`) and what burns for a day or more
    (`slo.slow_burn_rate`) are findings of their own.

    Args:
        slos: The objectives.
        catalog: Gives out the sids of `slo.burn_rate` (over the last hour), `slo.slow_burn_rate` (over the last day)
            and `slo.budget_left`.
        lane: Lane of the derived samples.

    Raises:
        ConfigError: Two objectives share a name.
    """

    name: ClassVar[str] = "slo"
    accepts: ClassVar[tuple[type, ...]] = (Spans,)

    def __init__(
        self,
        slos: Sequence[Slo],
        catalog: Catalog,
        *,
        tenant: str = DEFAULT_TENANT,
        lane: Lane = Lane.LIVE,
    ) -> None:
        distinct(slos)
        self._slos, self._catalog = tuple(slos), catalog
        self._tenant, self._lane = tenant, lane
        hours = max((math.ceil(slo.window_s / 3600) for slo in self._slos), default=1)
        self._requests = Requests(len(self._slos), hours)
        self._told_min = 0
        self._burns: dict[Key, _Burn] = {}
        self._over: dict[Key, int] = {}  # the minute in which the last one was over
        self._sids: list[tuple[int, ...]] = []

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Count requests; makes nothing before a minute ends."""
        for item in items:
            if isinstance(item, Spans) and self._slos:
                self._take(item.data)
        return ()

    def _take(self, data: pa.RecordBatch) -> None:
        kind = data.column("kind").to_numpy()
        answers = (kind == _SERVER) | (kind == _CONSUMER)
        if not answers.any():
            return
        data = data.filter(pa.array(answers))
        end_ns = data.column("start_ns").to_numpy() + data.column("duration_ns").to_numpy()
        minute = end_ns // MINUTE_NS
        self._requests.forward(int(minute.max()))
        kept_rows = self._requests.keeps(minute)
        failed = data.column("error").to_numpy(zero_copy_only=False)
        slow_ns = data.column("duration_ns").to_numpy()
        entity = data.column("entity")
        for number, slo in enumerate(self._slos):
            mine = pc.equal(entity, slo.entity).to_numpy(zero_copy_only=False) & kept_rows
            if slo.operation:
                mine &= pc.equal(data.column("name"), slo.operation).to_numpy(zero_copy_only=False)
            if not mine.any():
                continue
            bad = failed[mine]
            if slo.threshold_s:
                bad = bad | (slow_ns[mine] > slo.threshold_s * SECOND_NS)
            self._requests.add(number, minute[mine], bad)

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Once a minute of event time: status, series and alerts of every objective.

        Where event time jumps, each minute is judged by what came before it, so how frames are cut changes no finding.
        """
        now = watermark_ns // MINUTE_NS
        if now <= self._told_min or not (self._slos or self._burns):
            return ()
        self._requests.forward(now)
        begin = max(self._told_min + 1, now - _CATCH_UP_MIN)
        self._told_min = now
        made: list[object] = [*self._register(), *self._close_undeclared(now)]
        pasts = [self._requests.past(number, now) for number in range(len(self._slos))]
        for minute in range(max(begin, min((past.first for past in pasts), default=now) + 1), now + 1):
            for number, slo in enumerate(self._slos):
                for speed in SPEEDS:
                    made.extend(self._judge(number, slo, speed, pasts[number], minute))
        values: list[float] = []
        for number, (slo, past) in enumerate(zip(self._slos, pasts, strict=True)):
            burning = any((slo.name, speed.metric) in self._burns for speed in SPEEDS)
            status = status_of(slo, self._requests, number, past, now, burning=burning, tenant=self._tenant)
            made.append(status)
            values += [status.burn_1h or 0.0, burn_of(past, now, 1440, slo) or 0.0, status.budget_left]
        if self._slos:
            made.append(self._samples(now, values))
        return made

    def _samples(self, now: int, values: Sequence[float]) -> DerivedSamples:
        sids = np.array([sid for each in self._sids for sid in each], np.int64)
        now_ns = now * MINUTE_NS
        data = samples_batch(sids, np.full(len(sids), now_ns), np.array(values))
        return DerivedSamples(data=data, tenant=self._tenant, lane=self._lane, window_ns=now_ns)

    def _register(self) -> Iterator[Series]:
        if self._sids:
            return
        for slo in self._slos:
            sids = []
            for metric in _METRICS:
                labels = {"slo": slo.name}
                sid, new = self._catalog.register(
                    metric, labels, entity=slo.entity, tenant=self._tenant, unit="1", origin=Origin.SPAN
                )
                sids.append(sid)
                if new:
                    yield Series(
                        sid=sid,
                        metric=metric,
                        labels=labels,
                        entity=slo.entity,
                        unit="1",
                        kind=SeriesKind.GAUGE,
                        origin=Origin.SPAN,
                        tenant=self._tenant,
                    )
            self._sids.append(tuple(sids))

    def _judge(self, number: int, slo: Slo, speed: Speed, past: Past, now: int) -> list[Finding]:
        key, allowed = (slo.name, speed.metric), 1.0 - slo.objective
        burn = self._burns.get(key)
        if burn is None:
            rule = broken(past, now, speed, allowed)
            if rule is None:
                return []
            onset = onset_of(past, now, rule, allowed, self._over.get(key, 0))
            sid = self._sids[number][_METRICS.index(speed.metric)]
            burn = _Burn(_opened(slo, speed, rule, onset, sid, self._tenant), rule, now)
            self._burns[key] = burn
            return [_told(burn, slo, speed, past, now)]
        if kept(past, now, speed, allowed):
            burn.kept_min = now
        elif now - burn.kept_min >= speed.hold_min:
            return [self._end(key, now, "the budget no longer burns faster than allowed")]
        since_news = now - to_ns(burn.finding.seen) // MINUTE_NS
        due = since_news >= speed.news_min if speed.news_min else burning_now(past, now, allowed)
        return [_told(burn, slo, speed, past, now)] if due else []

    def _end(self, key: Key, now: int, why: str) -> Finding:
        finding = self._burns.pop(key).finding
        self._over[key] = now
        what = finding.reason.partition(": the error budget")[0]
        return replace(finding, seen=to_datetime(now * MINUTE_NS), state=FindingState.CLOSED, reason=f"{what}: {why}")

    def _close_undeclared(self, now: int) -> list[Finding]:
        """What stood about an objective that the settings no longer name."""
        declared = {slo.name for slo in self._slos}
        gone = [key for key in self._burns if key[0] not in declared]
        return [self._end(key, now, "it is no longer declared") for key in gone]

    def snapshot(self) -> State:
        """Counts, and what burns. The objectives themselves are settings."""
        burns = [
            {
                "key": key,
                "finding": to_json(burn.finding),
                "rule": [burn.rule.short_min, burn.rule.long_min, burn.rule.factor],
                "kept_min": burn.kept_min,
            }
            for key, burn in sorted(self._burns.items())
        ]
        document = {
            "names": [slo.name for slo in self._slos],
            "burns": burns,
            "over": [[*key, minute] for key, minute in sorted(self._over.items())],
        }
        return {
            "minutes": self._requests.minutes.copy(),
            "hours": self._requests.hours.copy(),
            "first": self._requests.first.copy(),
            "at": np.array([self._requests.minute, self._told_min], np.int64),
            "slo": json.dumps(document).encode(),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave; objectives that it does not know begin empty. Raises `Corrupt`."""
        try:
            known = json.loads(bytes(state["slo"]))
            names = [str(name) for name in known["names"]]
            minute, *_, told_min = (int(each) for each in np.asarray(state["at"]).tolist())
            first = state.get("first", np.full(len(names), minute - LONGEST_MIN))  # once it was not counted
            minutes, hours, first = (np.array(each, np.int64) for each in (state["minutes"], state["hours"], first))
            old = Requests.restored(minutes, hours, first, minute, names=len(names))
            burns = {(str(each["key"][0]), str(each["key"][1])): _burn_back(each) for each in known.get("burns", ())}
            over = {(str(name), str(metric)): int(minute) for name, metric, minute in known.get("over", ())}
        except (LookupError, TypeError, ValueError, DecodeError) as error:
            raise Corrupt(f"state of SLOs does not fit this version: {error!r}; replay the journal") from error
        self._requests.minute, self._told_min = minute, told_min
        self._burns, self._over = burns, over
        for number, slo in enumerate(self._slos):
            if slo.name in names:
                self._requests.copy(number, old, names.index(slo.name))


def _opened(slo: Slo, speed: Speed, rule: Rule, onset: int, sid: int, tenant: str) -> Finding:
    """A finding that still has to be told."""
    onset_ns = onset * MINUTE_NS
    text = "\x1f".join((tenant, "slo", slo.name, speed.metric, str(onset_ns)))
    return Finding(
        id=hashlib.sha256(text.encode()).hexdigest()[:24],
        entity=slo.entity,
        series=sid_text(sid),
        metric=speed.metric,
        onset=to_datetime(onset_ns),
        seen=to_datetime(onset_ns),
        score=speed.score,
        effect=0.0,
        value=0.0,
        expected=1.0,
        low=0.0,
        high=rule.limit(1.0 - slo.objective),
        direction=Direction.UP,
        detector="slo@1",
        reason="",
        unit="1",
        labels_text=f"slo={slo.name}",
        tenant=tenant,
    )


def _told(burn: _Burn, slo: Slo, speed: Speed, past: Past, now: int) -> Finding:
    """What burns, with its worst rate so far."""
    finding, rule = burn.finding, burn.rule
    onset = to_ns(finding.onset) // MINUTE_NS
    worst = max(finding.value, rate(past, onset, now, 1.0 - slo.objective))
    above = min(1.0, math.log10(max(1.0, worst / finding.high)))
    burn.finding = replace(
        finding,
        seen=to_datetime(now * MINUTE_NS),
        score=round(speed.score + above, 3),
        effect=round(worst - 1.0, 3),
        value=worst,
        reason=f"SLO {slo.name} ({slo.objective:.6g} good): the error budget burns {worst:.1f} x as fast as allowed "
        f"since {finding.onset:%H:%M}; told above {finding.high:.3g} x over {_span(rule.short_min)} and "
        f"{_span(rule.long_min)}",
    )
    return burn.finding


def _span(minutes: int) -> str:
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 1440 else f"{minutes // 1440} d"  # noqa: PLR2004 - a day


def _burn_back(row: Json) -> _Burn:
    short_min, long_min, factor = row["rule"]
    rule = Rule(short_min=int(short_min), long_min=int(long_min), factor=float(factor))
    return _Burn(from_json(Finding, row["finding"]), rule, int(row["kept_min"]))
