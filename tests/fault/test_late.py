"""Late, repeated and disordered samples: whatever comes in whatever order, the last value sent for a moment stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from starlette.applications import Starlette

from tests.conservation import Account
from tests.fault.home import HISTORY, Home
from tests.unit.ingest.messages import gauge, metrics_request
from tests.unit.ingest.null import Client
from twofold.aiops.ingest.clean.config import CleanConfig
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item
from twofold.aiops.ingest.ingest import Ingest
from twofold.records.time import SECOND_NS
from twofold.store.history import Table

MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - nothing is cut off here, so syncing only costs
PROTOBUF: Final = {"content-type": "application/x-protobuf"}
AGES_S: Final = st.sampled_from([0, 1, 2, 3, 60, 3600, 7 * 3600, 86_400, 40 * 86_400])
HOSTS: Final = st.sampled_from(["a", "b", "c"])
POINTS: Final = st.lists(st.tuples(HOSTS, AGES_S, st.integers(-100, 100)), min_size=1, max_size=6)


class Senders(RuleBasedStateMachine):
    """Samples through the receivers into all stores, and a dict beside them."""

    folder: Callable[[], Path]

    @initialize()
    def start(self) -> None:
        self.root = self.folder()
        self.now_ns = time.time_ns() // SECOND_NS * SECOND_NS
        self.sent: dict[tuple[str, int], float] = {}
        self.bodies: list[tuple[bytes, list[tuple[str, int, float]]]] = []
        self.counts = Counts()
        self.received = self.stored = 0
        self.open()

    def open(self) -> None:
        self.home = Home(self.root)
        config = IngestConfig(walker=False)
        ingest = Ingest(self.home.journal, self.home.catalog, self.counts, config, now_ns=lambda: self.now_ns)
        self.client = Client(Starlette(routes=ingest.routes()))

    @rule(points=POINTS)
    def send(self, points: list[tuple[str, int, int]]) -> None:
        """In any order, of any age."""
        facts = [(host, self.now_ns - age_s * SECOND_NS, float(value)) for host, age_s, value in points]
        metrics = [gauge("load", value, time_ns, host=host) for host, time_ns, value in facts]
        self.bodies.append((metrics_request(*metrics).SerializeToString(), facts))
        self._post(*self.bodies[-1])

    @rule(number=st.integers(0, 100))
    def send_again(self, number: int) -> None:
        """A sender that got no answer repeats itself."""
        if self.bodies:
            self._post(*self.bodies[number % len(self.bodies)])

    def _post(self, body: bytes, facts: list[tuple[str, int, float]]) -> None:
        assert self.client.post("/v1/metrics", content=body, headers=PROTOBUF).status_code == 200
        oldest_ns = self.now_ns - int(CleanConfig().past_s * SECOND_NS)
        for host, time_ns, value in facts:
            self.received += 1
            if time_ns >= oldest_ns:  # the stated window; what is older is refused and counted
                self.stored += 1
                self.sent[host, time_ns] = value

    @rule(number=st.integers(0, 11))
    def work(self, number: int) -> None:
        self.home.chores(number)
        self.now_ns += SECOND_NS

    @rule()
    def restart(self) -> None:
        """In good order; how it dies is told elsewhere."""
        self.home.close()
        self.open()

    @rule()
    def look(self) -> None:
        """The last value of every moment stands."""
        self.home.recorder.drain()
        found: dict[tuple[str, int], float] = {}
        for series in self.home.catalog.find(tenant="main", metric="load"):
            rows = self.home.history.samples([series.sid], 0, self.now_ns + SECOND_NS, tenant="main").to_pylist()
            found |= {(series.labels["host"], row["time_ns"]): row["value"] for row in rows}
        assert found == self.sent
        total = self.counts.total(Item.POINTS)
        assert (total.received, total.stored) == (self.received, self.stored)
        assert sum(total.rejected.values()) == self.received - self.stored
        assert not self.counts.imbalance()

    def teardown(self) -> None:
        """P5 to the end: what was taken is stored, once a moment, or counted as a repetition."""
        if hasattr(self, "home"):
            self.look()
            self.home.recorder.flush()
            counts = self.home.history.counts
            Account(received=counts["taken"], stored=counts["stored"], duplicate=counts["duplicate"]).check()
            assert self.home.history.status()[Table.SAMPLES].rows >= len(self.sent)
            self.home.close()


def run(examples: int, steps: int) -> None:
    def machine() -> Senders:
        one = Senders()
        one.folder = lambda: Path(folders.enter_context(TemporaryDirectory(dir=MEMORY)))
        return one

    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with ExitStack() as folders:
        run_state_machine_as_test(machine, settings=chosen)  # type: ignore[arg-type]  # its hint asks for a class, it takes any factory


def test_the_last_value_of_a_moment_stands() -> None:
    assert HISTORY.compact.settle_s == 0, "so that compaction meets late rows"
    run(8, 25)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_last_value_of_a_moment_stands_for_long() -> None:
    run(40, 50)
