"""From journal to sink: a crash changes nothing, a bad frame costs itself, a sink that is away costs time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.telemetry import NOON, SECOND, samples_frame
from tests.unit.flow.toys import Thresholds, pipeline
from twofold.errors import Conflict, Corrupt, Unavailable
from twofold.flow.decode import decode
from twofold.flow.memory import MemoryJournal
from twofold.flow.pipeline import Pipeline
from twofold.flow.runner import CONSUMER, Runner, RunnerConfig
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.records.incident import Incident
from twofold.store.blobs.files import FileBlobs
from twofold.store.journal import Journal
from twofold.store.journal.segments import SegmentJournal

FAST = RunnerConfig(checkpoint_s=0.05, retry_s=0.01)


@dataclass
class Tray:
    """A sink that keeps what it took, and first raises as often as told."""

    error: Exception = field(default_factory=lambda: Unavailable("away"))
    fails: int = 0
    taken: list[tuple[str, Lane, str]] = field(default_factory=list)

    def write(self, made: Sequence[object], *, tenant: str, lane: Lane) -> None:
        if self.fails:
            self.fails -= 1
            raise self.error
        self.taken += [(tenant, lane, item.id) for item in made if isinstance(item, Incident)]

    @property
    def ids(self) -> list[str]:
        """Ids in the order they were written."""
        return [key for _, _, key in self.taken]


class World:
    """A real journal and real blobs, and runners over them one after the other."""

    def __init__(self, home: Path) -> None:
        self.journal: Journal = SegmentJournal(home / "journal")
        self.blobs = FileBlobs(home / "blobs")
        self.tray = Tray()
        self.version = "1"
        self.built: list[tuple[str, Lane]] = []

    def build(self, tenant: str, lane: Lane) -> Pipeline:
        self.built.append((tenant, lane))
        return pipeline(Thresholds(self.version), lane=lane)

    def runner(self, config: RunnerConfig = FAST) -> Runner:
        return Runner(self.journal, 0, decode=decode, build=self.build, sink=self.tray, blobs=self.blobs, config=config)

    def send(
        self, *values: float, lane: Lane = Lane.LIVE, tenant: str = "main", start_ns: int = NOON, time_ns: int = NOON
    ) -> Position:
        frames = [
            samples_frame([(1, start_ns + n * SECOND, value)], lane=lane, tenant=tenant, time_ns=time_ns)
            for n, value in enumerate(values)
        ]
        return self.journal.append(frames)[-1]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.journal.close()


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not done():
        time.sleep(0.01)
    assert done()


def test_frames_go_through_the_pipeline_of_their_tenant_and_lane(world: World) -> None:
    world.send(0, 5)
    world.send(5, tenant="acme")
    world.send(5, lane=Lane.BACKFILL)
    runner = world.runner()
    assert runner.drain() == 4
    assert world.tray.taken == [
        ("main", Lane.LIVE, "inc-2-v1"),
        ("acme", Lane.LIVE, "inc-1-v1"),
        ("main", Lane.BACKFILL, "inc-1-v1"),
    ]
    assert (runner.progress.frames, runner.progress.rows, runner.progress.made) == (4, 4, 3)


def test_derived_frames_are_left_out_and_a_tick_opens_nothing(world: World) -> None:
    tick = Frame(kind=FrameKind.TICK, payload=b"", time_ns=NOON, rows=0)
    world.journal.append([tick, samples_frame([(1, NOON, 5.0)], source=Source.DERIVED)])
    runner = world.runner()
    runner.drain()
    assert (world.built, world.tray.ids, runner.progress.frames) == ([], [], 0)


def test_a_restart_goes_on_from_the_checkpoint_with_what_stages_knew(world: World) -> None:
    """The second runner's third sample is the third, so its ids are those of one uninterrupted run."""
    world.send(0, 5)
    world.runner().drain()
    end = world.send(5)
    again = world.runner()
    again.restore()
    assert again.drain() == 1
    assert world.tray.ids == ["inc-2-v1", "inc-3-v1"]
    assert world.journal.committed(CONSUMER, 0) == end


def test_a_crash_after_writing_and_before_the_checkpoint_writes_the_same_again(world: World) -> None:
    world.send(5, 5)
    world.runner().drain()
    world.send(5, 5)
    crashed = world.runner()
    crashed.restore()
    crashed.work_off()
    first = list(world.tray.ids)
    again = world.runner()
    again.restore()
    again.drain()
    assert first == ["inc-1-v1", "inc-2-v1", "inc-3-v1", "inc-4-v1"]
    assert world.tray.ids == [*first, "inc-3-v1", "inc-4-v1"]


def test_without_its_checkpoint_it_starts_at_the_committed_position(world: World) -> None:
    """A damaged one is told and given up: what was learnt is lost, what was received is not."""
    world.send(5)
    world.runner().drain()
    world.blobs.put("checkpoints/pipeline-0", b"damaged")
    world.send(5)
    fresh = world.runner()
    fresh.restore()
    assert fresh.progress.refused_builds == 1
    assert fresh.drain() == 1


def test_the_live_lane_goes_on_from_what_the_backfill_learnt_once_it_is_at_rest(world: World) -> None:
    """What the live lane had seen before, less than the backfill reaches back, is given up for it."""
    later = NOON + 60 * SECOND
    world.send(0, start_ns=later, time_ns=later)
    world.send(0, 0, 0, lane=Lane.BACKFILL, time_ns=later)
    world.send(5, start_ns=later + SECOND, time_ns=later + SECOND)
    runner = world.runner()
    runner.drain()
    assert world.tray.ids == ["inc-2-v1"], "the backfill is still under way"
    at_rest = later + 10 * SECOND
    world.send(5, start_ns=at_rest, time_ns=at_rest)
    world.send(5, lane=Lane.BACKFILL, time_ns=at_rest)
    runner.drain()
    assert world.tray.ids[1:] == ["inc-4-v1", "inc-4-v1"], "each lane counts on for itself"


def test_old_history_says_nothing_of_now(world: World) -> None:
    world.send(0, 0, 0, lane=Lane.BACKFILL)
    day = NOON + 86_400 * SECOND
    world.send(5, start_ns=day, time_ns=day)
    world.runner().drain()
    assert world.tray.ids == ["inc-1-v1"]


def test_a_frame_that_cannot_be_read_is_counted_and_costs_itself(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    poison = replace(samples_frame([(1, NOON, 5.0)]), payload=b"poison")
    world.journal.append([samples_frame([(1, NOON, 5.0)]), poison, samples_frame([(1, NOON, 5.0)])])
    runner = world.runner()
    runner.drain()
    assert world.tray.ids == ["inc-1-v1", "inc-2-v1"]
    assert (runner.progress.poisoned, runner.progress.frames) == (1, 2)
    assert "cannot be read" in caplog.text


def test_a_stage_that_raises_is_counted_over_all_pipelines(world: World) -> None:
    world.send(-1)
    world.send(-1, tenant="acme")
    runner = world.runner()
    runner.drain()
    assert runner.stage_failures() == {"thresholds": 2}


def test_a_sink_that_is_away_is_tried_again_until_it_takes(world: World) -> None:
    world.tray.fails = 3
    runner = world.runner()
    runner.start()
    end = world.send(5)
    _wait(lambda: world.journal.committed(CONSUMER, 0) == end)
    runner.stop()
    assert world.tray.ids == ["inc-1-v1"]
    assert runner.progress.failures == 3
    assert runner.failure is None


def test_a_sink_that_will_never_take_ends_the_partition_and_keeps_the_frames(world: World) -> None:
    """Readiness turns false and the journal holds on: going round for ever would look well and do nothing."""
    world.tray.fails, world.tray.error = 1, Conflict("another ledger")
    begin = world.journal.committed(CONSUMER, 0)
    runner = world.runner()
    runner.start()
    world.send(5)
    _wait(lambda: runner.failure is not None)
    runner.stop()
    assert isinstance(runner.failure, Conflict)
    assert world.journal.committed(CONSUMER, 0) == begin
    again = world.runner()
    again.restore()
    again.drain()
    assert world.tray.ids == ["inc-1-v1"]


def test_stopping_while_the_sink_is_away_leaves_the_frames_for_the_next_start(world: World) -> None:
    world.tray.fails = 1_000_000
    runner = world.runner()
    runner.start()
    world.send(5)
    _wait(lambda: runner.progress.failures > 0)
    runner.stop()
    world.tray.fails = 0
    again = world.runner()
    again.restore()
    assert again.drain() == 1
    assert world.tray.ids == ["inc-1-v1"]


def test_a_thread_checkpoints_as_it_goes_and_when_it_stops(world: World) -> None:
    runner = world.runner()
    runner.start()
    first = world.send(5)
    _wait(lambda: world.journal.committed(CONSUMER, 0) == first)
    last = world.send(5)
    _wait(lambda: runner.progress.frames == 2)
    runner.stop()
    assert world.journal.committed(CONSUMER, 0) == last
    assert world.blobs.exists("checkpoints/pipeline-0")


def test_another_version_takes_over_the_running_state(world: World) -> None:
    world.send(0, 5)
    runner = world.runner()
    runner.drain()
    world.version = "2"
    world.send(5)
    runner.drain()
    runner.rebuild()
    world.send(5)
    runner.drain()
    assert world.tray.ids == ["inc-2-v1", "inc-3-v1", "inc-4-v2"]


def test_a_version_that_cannot_take_over_leaves_the_one_before_at_work(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.send(5)
    runner = world.runner()
    runner.drain()
    world.version = "unfit"
    runner.rebuild()
    world.send(5)
    runner.drain()
    assert world.tray.ids == ["inc-1-v1", "inc-2-v1"]
    assert runner.progress.refused_builds == 1
    assert "the version before goes on" in caplog.text


class Damaged(MemoryJournal):
    """Its second frame is damaged."""

    def read(self, partition: int, start: Position, limit: int = 256) -> Sequence[tuple[Position, Frame]]:
        found = super().read(partition, start, limit)
        if start.offset == 1:
            raise Corrupt("frame at 1 fails its check", next=Position(0, 2))
        return found[:1] if start.offset == 0 else found


def test_a_damaged_frame_is_counted_and_the_rest_is_read(world: World, caplog: pytest.LogCaptureFixture) -> None:
    journal = Damaged()
    journal.append([samples_frame([(1, NOON, 5.0)]) for _ in range(3)])
    world.journal.close()
    world.journal = journal
    runner = world.runner()
    runner.drain()
    assert world.tray.ids == ["inc-1-v1", "inc-2-v1"]
    assert runner.progress.poisoned == 1
    assert "skipped" in caplog.text


def test_state_of_another_version_is_given_up_and_frames_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.send(0, 0)
    world.runner().drain()

    def refuse(_self: Thresholds, _state: object) -> None:
        raise Corrupt("state of another layout")

    monkeypatch.setattr(Thresholds, "restore", refuse)
    fresh = world.runner()
    fresh.restore()
    world.send(5)
    fresh.drain()
    assert world.tray.ids == ["inc-1-v1"], "it counts from one again"
    assert "given up" in caplog.text
