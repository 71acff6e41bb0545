"""Burn-rate alerts of service level objectives, from spans.

The rules are those of the SRE workbook (chapter 5): a fast and a slow window must both burn the error budget faster
than a factor. Where requests are few, a handful of errors is no evidence: what counts is the lower bound of the
burn rate, by the Poisson distribution of the errors seen.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.records.columns import DerivedSamples, Spans, samples_batch
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.frame import Lane
from twofold.records.series import Origin, Series, SeriesKind, sid_text
from twofold.records.slo import Slo, SloState, SloStatus
from twofold.records.time import SECOND_NS, to_datetime
from twofold.store.catalog import Catalog

Int64s = npt.NDArray[np.int64]

BURN: Final = "slo.burn_rate"
BUDGET: Final = "slo.budget_left"
MINUTE_NS: Final = 60 * SECOND_NS
_SERVER, _CONSUMER = 2, 5
_MINUTES: Final = 3 * 1440 + 1
_LEAST_SCORE: Final = 3.0
_CONFIDENCE: Final = 1.28  # one-sided 90 %
_NONE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Alert when both windows burn faster than `factor`."""

    short_min: int
    long_min: int
    factor: float


RULES: Final = (
    Rule(short_min=5, long_min=60, factor=14.4),
    Rule(short_min=30, long_min=360, factor=6.0),
    Rule(short_min=120, long_min=1440, factor=3.0),
    Rule(short_min=360, long_min=4320, factor=1.0),
)


class Slos:
    """Keeps every objective's requests by minute and hour, tells what is left, and alerts on fast burning.

    Suits promises about requests that leave spans. A rare request (fewer than a few an hour) is judged late: its
    errors must be more than chance.

    Args:
        slos: The objectives.
        catalog: Gives out the sids of `slo.burn_rate` (over the last hour) and `slo.budget_left`.
        lane: Lane of the derived samples.
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
        self._slos, self._catalog = tuple(slos), catalog
        self._tenant, self._lane = tenant, lane
        hours = max((int(slo.window_s // 3600) for slo in self._slos), default=1)
        self._minutes = np.zeros((len(self._slos), 2, _MINUTES), np.int64)  # total and bad, a column a minute
        self._hours = np.zeros((len(self._slos), 2, hours + 1), np.int64)
        self._minute = _NONE
        self._hour = _NONE
        self._told_minute = 0
        self._burning: dict[int, tuple[int, str]] = {}  # objective: onset, finding
        self._sids: list[tuple[int, int]] = []

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
        self._forward(int(minute.max()))
        kept = (minute > self._minute - _MINUTES) & (minute // 60 > self._hour - self._hours.shape[2])
        failed = data.column("error").to_numpy(zero_copy_only=False)
        slow_ns = data.column("duration_ns").to_numpy()
        entity = data.column("entity")
        for number, slo in enumerate(self._slos):
            mine = pc.equal(entity, slo.entity).to_numpy(zero_copy_only=False) & kept
            if slo.operation:
                mine &= pc.equal(data.column("name"), slo.operation).to_numpy(zero_copy_only=False)
            if not mine.any():
                continue
            bad = failed[mine]
            if slo.threshold_s:
                bad = bad | (slow_ns[mine] > slo.threshold_s * SECOND_NS)
            for ring, step in ((self._minutes[number], minute[mine]), (self._hours[number], minute[mine] // 60)):
                place = step % ring.shape[1]
                np.add.at(ring[0], place, 1)
                np.add.at(ring[1], place[bad], 1)

    def _forward(self, minute: int) -> None:
        """Empty what is newly begun."""
        for ring, now, then in ((self._minutes, minute, self._minute), (self._hours, minute // 60, self._hour)):
            steps = ring.shape[2]
            first = now - steps + 1 if then == _NONE else max(then + 1, now - steps + 1)
            if first <= now:
                ring[:, :, np.arange(first, now + 1) % steps] = 0
        self._minute, self._hour = max(self._minute, minute), max(self._hour, minute // 60)

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Once a minute of event time: status, series and alerts of every objective."""
        complete = watermark_ns // MINUTE_NS
        if not self._slos or self._minute == _NONE or complete <= self._told_minute:
            return ()
        self._forward(complete)
        self._told_minute = complete
        made: list[object] = list(self._register())
        values: list[float] = []
        for number, slo in enumerate(self._slos):
            status = self._status(number, slo, complete)
            made.append(status)
            made.extend(self._alert(number, slo, complete))
            values += [status.burn_1h if status.burn_1h is not None else 0.0, status.budget_left]
        sids = np.array([sid for pair in self._sids for sid in pair], np.int64)
        now_ns = complete * MINUTE_NS
        data = samples_batch(sids, np.full(len(sids), now_ns), np.array(values))
        made.append(DerivedSamples(data=data, tenant=self._tenant, lane=self._lane, window_ns=now_ns))
        return made

    def _register(self) -> list[Series]:
        if self._sids:
            return []
        made = []
        for slo in self._slos:
            pair = []
            for metric in (BURN, BUDGET):
                labels = {"slo": slo.name}
                sid, new = self._catalog.register(
                    metric, labels, entity=slo.entity, tenant=self._tenant, unit="1", origin=Origin.SPAN
                )
                pair.append(sid)
                if not new:
                    continue
                made.append(
                    Series(
                        sid=sid,
                        metric=metric,
                        labels=labels,
                        entity=slo.entity,
                        unit="1",
                        kind=SeriesKind.GAUGE,
                        origin=Origin.SPAN,
                        tenant=self._tenant,
                    )
                )
            self._sids.append((pair[0], pair[1]))
        return made

    def _sum(self, number: int, complete: int, minutes: int) -> tuple[int, int]:
        """Total and bad of the last whole minutes."""
        columns = np.arange(complete - minutes, complete) % _MINUTES
        total, bad = self._minutes[number][:, columns].sum(axis=1).tolist()
        return int(total), int(bad)

    def _status(self, number: int, slo: Slo, complete: int) -> SloStatus:
        hours = int(slo.window_s // 3600)
        columns = np.arange(complete // 60 - hours + 1, complete // 60 + 1) % self._hours.shape[2]
        total, bad = (int(each) for each in self._hours[number][:, columns].sum(axis=1))
        allowed = (1.0 - slo.objective) * total
        left = 1.0 - bad / allowed if allowed else 1.0
        burn_1h, burn_6h = (self._burn(number, slo, complete, minutes) for minutes in (60, 360))
        ends = None
        if left > 0.0 and burn_6h and (wait_s := left * slo.window_s / burn_6h) < slo.window_s:
            ends = to_datetime(complete * MINUTE_NS + int(wait_s * SECOND_NS))
        state = SloState.BURNING if number in self._burning else SloState.OK
        return SloStatus(
            id=slo.name,
            entity=slo.entity,
            objective=slo.objective,
            threshold_s=slo.threshold_s,
            window_s=slo.window_s,
            operation=slo.operation,
            total=total,
            bad=bad,
            budget_left=left,
            updated=to_datetime(complete * MINUTE_NS),
            state=SloState.EXHAUSTED if left <= 0.0 else state,
            burn_1h=burn_1h,
            burn_6h=burn_6h,
            exhausted_at=ends,
            tenant=self._tenant,
        )

    def _burn(self, number: int, slo: Slo, complete: int, minutes: int) -> float | None:
        total, bad = self._sum(number, complete, minutes)
        return bad / total / (1.0 - slo.objective) if total else None

    def _alert(self, number: int, slo: Slo, complete: int) -> list[Finding]:
        now_ns = complete * MINUTE_NS
        past = [rule for rule in RULES if self._past(number, slo, complete, rule)]
        known = self._burning.get(number)
        if past and known is None:
            onset_ns = now_ns - past[0].short_min * MINUTE_NS
            text = f"{self._tenant}\x1fslo\x1f{slo.name}\x1f{onset_ns}"
            known = self._burning[number] = (onset_ns, hashlib.sha256(text.encode()).hexdigest()[:24])
            return [self._finding(number, slo, complete, past[0], known, FindingState.OPEN)]
        if not past and known is not None:
            del self._burning[number]
            return [self._finding(number, slo, complete, RULES[0], known, FindingState.CLOSED)]
        return []

    def _past(self, number: int, slo: Slo, complete: int, rule: Rule) -> bool:
        allowed = 1.0 - slo.objective
        for minutes in (rule.short_min, rule.long_min):
            total, bad = self._sum(number, complete, minutes)
            if not total or lower_bound(bad) / total / allowed <= rule.factor:
                return False
        return True

    def _finding(
        self, number: int, slo: Slo, complete: int, rule: Rule, known: tuple[int, str], state: FindingState
    ) -> Finding:
        onset_ns, key = known
        burn = self._burn(number, slo, complete, rule.long_min) or 0.0
        span = f"{rule.long_min // 60} h"
        what = f"SLO {slo.name} ({slo.objective:.4g} good)"
        opened = f"{what}: the error budget burns {burn:.1f} x as fast as allowed over the last {span}"
        return Finding(
            id=key,
            entity=slo.entity,
            series=sid_text(self._sids[number][0]),
            metric=BURN,
            onset=to_datetime(onset_ns),
            seen=to_datetime(complete * MINUTE_NS),
            score=_LEAST_SCORE,
            effect=round(burn / rule.factor, 3),
            value=burn,
            expected=1.0,
            low=0.0,
            high=rule.factor,
            direction=Direction.UP,
            detector="slo@1",
            reason=opened if state is FindingState.OPEN else f"{what}: the budget no longer burns faster than allowed",
            state=state,
            unit="1",
            labels_text=slo.name,
            tenant=self._tenant,
        )

    def snapshot(self) -> State:
        """Counts, and what burns. The objectives themselves are settings."""
        return {
            "minutes": self._minutes.copy(),
            "hours": self._hours.copy(),
            "at": np.array([self._minute, self._hour, self._told_minute], np.int64),
            "slo": json.dumps(
                {
                    "names": [slo.name for slo in self._slos],
                    "burning": [[number, *known] for number, known in sorted(self._burning.items())],
                }
            ).encode(),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave; objectives that it does not know begin empty. Raises `Corrupt`."""
        try:
            known = json.loads(bytes(state["slo"]))
            names = [str(name) for name in known["names"]]
            minutes, hours = np.array(state["minutes"], np.int64), np.array(state["hours"], np.int64)
            at = np.asarray(state["at"]).tolist()
            burning = {int(number): (int(onset_ns), str(key)) for number, onset_ns, key in known["burning"]}
            if minutes.shape != (len(names), 2, _MINUTES) or hours.ndim != 3 or len(hours) != len(names):  # noqa: PLR2004
                raise Corrupt(
                    f"SLO counts of shape {minutes.shape} do not fit {len(names)} objectives; replay the journal"
                )
            self._minute, self._hour, self._told_minute = (int(each) for each in at)
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"state of SLOs does not fit this version: {error!r}; replay the journal") from error
        self._burning = {}
        for number, slo in enumerate(self._slos):
            if slo.name not in names:
                continue
            old = names.index(slo.name)
            self._minutes[number] = minutes[old]
            self._copy_hours(number, hours[old])
            if old in burning:
                self._burning[number] = burning[old]

    def _copy_hours(self, number: int, old: Int64s) -> None:
        """Into a ring that may have another size."""
        for hour in range(self._hour - min(old.shape[1], self._hours.shape[2]) + 1, self._hour + 1):
            self._hours[number][:, hour % self._hours.shape[2]] = old[:, hour % old.shape[1]]


def lower_bound(count: int) -> float:
    """Of a Poisson mean after `count` events, one-sided 90 % (Wilson and Hilferty's cube).

    >>> [round(lower_bound(n), 1) for n in (0, 1, 3, 10, 100)]
    [0.0, 0.1, 1.1, 6.2, 87.4]
    """
    if count <= 0:
        return 0.0
    return count * max(1.0 - 1.0 / (9.0 * count) - _CONFIDENCE / (3.0 * math.sqrt(count)), 0.0) ** 3
