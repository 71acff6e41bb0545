"""Traces that outlive the history's spans, because a diagnosis or a finding cites them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import orjson
import pyarrow as pa

from twofold.errors import Corrupt, NotFound, TwofoldError
from twofold.records.diagnosis import Diagnosis, EvidenceKind
from twofold.records.finding import Finding
from twofold.records.time import to_datetime, to_ns
from twofold.store.blobs import Blobs
from twofold.store.history import History
from twofold.store.ledger import Ledger

log = logging.getLogger(__name__)

_PLACE: Final = "traces"
_TENANTS: Final = "traces/tenants"
_AHEAD: Final = timedelta(days=1)
"""So long before its spans may go, a trace is copied: more than any pause between two looks."""
_AROUND: Final = timedelta(minutes=10)
_PAGE: Final = 500
_ID: Final = re.compile("[0-9a-f]{32}")
"""What a trace id looks like; what a sender wrote in its place names no file."""
_DETECTORS: Final = ("calls@1",)
"""Detectors whose findings show a trace of their own."""


class KeptTraces:
    """Copies cited traces before their spans are let go, and gives them back. Nothing else of that time is kept."""

    def __init__(self, ledger: Ledger, history: History, blobs: Blobs) -> None:
        self._ledger, self._history, self._blobs = ledger, history, blobs

    def note(self, tenant: str) -> None:
        """This tenant has diagnoses or findings: look through them when spans are to go."""
        known = self._tenants()
        if tenant not in known:
            self._blobs.put(_TENANTS, orjson.dumps(sorted({*known, tenant})))

    def _tenants(self) -> list[str]:
        try:
            return [str(name) for name in orjson.loads(self._blobs.get(_TENANTS))]
        except NotFound:
            return []

    def keep(self, before_ns: int) -> int:
        """Copy the traces cited of times before that, and a day on; gives how many are new. What fails waits."""
        kept = 0
        until = to_datetime(max(before_ns, 0)) + _AHEAD
        for tenant in self._tenants():
            for trace_id, moment in self._cited(tenant, until):
                key = _key(tenant, trace_id)
                if _ID.fullmatch(trace_id) and not self._blobs.exists(key):
                    kept += self._copy(key, trace_id, moment, tenant)
        return kept

    def _cited(self, tenant: str, until: datetime) -> Iterable[tuple[str, datetime]]:
        after = ""
        while page := self._ledger.find(Diagnosis, tenant=tenant, until=until, limit=_PAGE, after=after):
            for diagnosis in page:
                for suspect in diagnosis.suspects:
                    for each in suspect.evidence:
                        if each.kind is EvidenceKind.TRACE and each.ref:
                            yield each.ref, each.start
            after = page[-1].id
        for detector in _DETECTORS:
            found = self._ledger.find(Finding, tenant=tenant, where={"detector": detector}, until=until, limit=_PAGE)
            yield from ((each.trace_id, each.onset) for each in found if each.trace_id)

    def _copy(self, key: str, trace_id: str, moment: datetime, tenant: str) -> bool:
        begins, ends = to_ns(moment - _AROUND), to_ns(moment + _AROUND)
        try:
            rows = self._history.trace(trace_id, tenant=tenant, start_ns=begins, end_ns=ends)
        except TwofoldError:
            log.exception("trace %s could not be read and will be tried again", trace_id)
            return False
        if not rows.num_rows:
            return False
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        self._blobs.put(key, sink.getvalue().to_pybytes())
        return True

    def get(self, trace_id: str, *, tenant: str) -> pa.Table | None:
        """The spans of a kept trace, as `History.trace` gives them; None when it was not kept. Raises `Corrupt`."""
        try:
            data = self._blobs.get(_key(tenant, trace_id))
        except NotFound:
            return None
        try:
            with pa.ipc.open_stream(data) as reader:
                return reader.read_all()
        except pa.ArrowInvalid as error:
            raise Corrupt(f"kept trace {trace_id} cannot be read: {error}") from error


def _key(tenant: str, trace_id: str) -> str:
    return f"{_PLACE}/{tenant}/{trace_id}"
