"""Forecasters beside our own: what the settings may name, who answers for whom, and what their answers become."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.detect.telemetry import MemoryCatalog
from tests.unit.forecast.test_capacity import register, run
from twofold.aiops.forecast.choice import Choice
from twofold.aiops.forecast.config import CapacityConfig
from twofold.aiops.forecast.engines import Engine, load
from twofold.aiops.forecast.stage import Capacity
from twofold.errors import ConfigError, InputError
from twofold.records.forecast import ForecastState
from twofold.stats.paths import LEVELS, brier, reached

Floats = npt.NDArray[np.float64]
PERIOD = 60
HERE = f"python:{__name__}"


class Wave:
    """Knows that the past comes again after `PERIOD` steps."""

    def paths(self, values: Floats, step_s: float, ahead: int) -> Floats:
        del step_s
        told = np.array([values[-PERIOD + number % PERIOD] for number in range(ahead)])
        return told + 0.002 * (np.array(LEVELS)[:, None] - 0.5)


class Broken:
    """Gives what is no forecast."""

    def paths(self, values: Floats, step_s: float, ahead: int) -> Floats:
        del values, step_s
        return np.full((2, ahead), math.nan)


def wave() -> Wave:
    return Wave()


def broken() -> Broken:
    return Broken()


def nothing() -> None:
    return None


def swing(step: float) -> float:
    return 0.5 + 0.3 * math.sin(step * math.tau / PERIOD)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("prophet", "write statsforecast:<model>"),
        ("statsforecast:", "write statsforecast:<model>"),
        ("python:no.such.module:make", "cannot be imported here"),
        (f"{HERE}:gone", "has no gone to call"),
        (f"{HERE}:nothing", "it has no `paths`"),
        ("onnx:/no/such/file.onnx", "onnx"),
    ],
)
def test_a_name_that_nothing_answers_to_stops_the_start(name: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load([name])


def test_paths_become_the_chance_to_reach_a_limit() -> None:
    rising = np.linspace(0.0, 1.0, 11)[None, :] + 0.01 * np.array(LEVELS)[:, None]
    chance = reached(rising, 0.505)
    assert chance[4] < 0.1
    assert chance[5] == pytest.approx(0.5, abs=0.05)
    assert chance[6] > 0.9
    assert (np.diff(chance) >= 0).all(), "what was reached stays reached"


def test_who_foresees_the_past_better_has_the_smaller_error() -> None:
    values = np.array([swing(step) for step in range(600)])
    assert brier(values, 40, lambda past, ahead: Wave().paths(past, 10.0, ahead)) < 0.05 < brier(values, 40)
    assert math.isnan(brier(np.full(600, 0.5), 40)), "nothing moves, nothing is to be foreseen"
    assert math.isnan(brier(values[:30], 20)), "too short a past"


def test_each_series_has_the_forecaster_that_knew_its_past_best() -> None:
    choice = Choice(load([f"{HERE}:wave"]))
    choice.begin(10**18)
    assert choice.ask(0, np.array([swing(step) for step in range(600)]), 1.0, 10.0)
    assert choice.engine_of(0) == f"{HERE}:wave"
    line = np.linspace(0.1, 0.9, 600) + 0.001 * np.random.default_rng(1).standard_normal(600)
    choice.begin(10**18)
    assert choice.ask(1, line, 1.0, 10.0)
    assert choice.engine_of(1) == "", "the closed form knows a line"


def test_few_are_asked_at_a_time_and_none_waits_for_ever() -> None:
    choice, values = Choice(load([f"{HERE}:wave"])), np.array([swing(step) for step in range(600)])
    rows, asked = range(6), []
    for judgement in range(30):
        choice.begin(10**18 + judgement * 30 * 10**9)
        told = {row for row in rows if choice.ask(row, values, 1.0, 10.0) and choice.engine_of(row)}
        assert len(told) <= 4
        asked.append(told)
    assert set().union(*asked[10:]) == set(rows)


def test_an_answer_that_is_none_is_counted_and_our_own_stands_in() -> None:
    catalog = MemoryCatalog()
    stage, sid = Capacity(catalog, engines=load([f"{HERE}:broken"])), register(catalog)
    made = list(run(stage, sid, lambda s: min(0.5 + s / 5000.0, 1.0), 0, 260))
    assert made[-1].state is ForecastState.HIT
    assert {one.engine for one in made} == {""}
    assert stage.refused[f"{HERE}:broken"] > 0


def test_a_claim_names_the_forecaster_that_made_it_and_a_restart_keeps_the_choice() -> None:
    catalog = MemoryCatalog()
    sid, crest = register(catalog), CapacityConfig(reached=0.98)

    def value(seconds: float) -> float:
        return 0.5 + 0.49 * math.sin(seconds / 10.0 * math.tau / PERIOD)

    first = Capacity(catalog, crest, engines=load([f"{HERE}:wave"]))
    made = list(run(first, sid, value, 0, 560))
    told = [one for one in made if one.engine == f"{HERE}:wave"]
    assert ForecastState.HIT in {one.state for one in told}, "it knew that the crest comes again"
    second = Capacity(catalog, crest, engines=load([f"{HERE}:wave"]))
    second.restore(first.snapshot())
    assert second._choice._chosen == first._choice._chosen
    assert list(run(second, sid, value, 560, 600)) == list(run(first, sid, value, 560, 600))
    plain = Capacity(catalog, crest)
    plain.restore(first.snapshot())
    assert all(one.engine == "" for one in run(plain, sid, value, 560, 700)), "the settings no longer name it"


def test_an_engine_is_what_the_port_says() -> None:
    (engine,) = load([f"{HERE}:wave"])
    assert isinstance(engine, Engine)
    with pytest.raises(InputError, match="wanted are finite ones"):
        load([f"{HERE}:broken"])[0].paths(np.ones(10), 10.0, 3)


def hourly(step: int) -> float:
    return 0.4 + 0.001 * step / 12 + 0.05 * math.sin(step / 12 * math.tau / 24.0)


def daily(noise: float) -> Callable[[int], float]:
    draw = np.random.default_rng(2)
    return lambda step: hourly(step) + noise * float(draw.standard_normal())


@pytest.mark.parametrize("model", ["AutoETS", "AutoTheta"])
def test_models_of_statsforecast_tell_a_daily_habit_on_its_way(model: str) -> None:
    pytest.importorskip("statsforecast", reason="needs the extra: pip install 'twofold[forecast]'")
    (engine,) = load([f"statsforecast:{model}"])
    value = daily(0.002)
    past = np.array([value(step) for step in range(2016)])
    paths = engine.paths(past, 300.0, 288)
    truth = np.array([hourly(2016 + step) for step in range(288)])
    assert np.abs(paths[3] - truth).mean() < 0.03
    assert ((paths[0] <= truth + 0.01) & (truth - 0.01 <= paths[-1])).mean() > 0.7


def test_an_unknown_model_of_statsforecast_is_named() -> None:
    pytest.importorskip("statsforecast", reason="needs the extra: pip install 'twofold[forecast]'")
    with pytest.raises(ConfigError, match="has no model 'AutoMagic'"):
        load(["statsforecast:AutoMagic"])


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer: a varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def shaped(name: bytes, *sizes: int) -> bytes:
    """A tensor of 32-bit floats as ONNX describes an input or output."""
    shape = b"".join(field(1, field(1, size)) for size in sizes)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def onnx_model(past: int, ahead: int) -> bytes:
    """A model that gives the last value for every step, less and more by the level: y = x W + b."""
    columns = len(LEVELS) * ahead
    weights = np.zeros((past, columns), np.float32)
    weights[-1] = 1.0
    bias = np.repeat(np.array(LEVELS, np.float32) - 0.5, ahead)[None, :]

    def constant(name: bytes, value: npt.NDArray[np.float32]) -> bytes:
        sizes = b"".join(field(1, size) for size in value.shape)
        return field(5, sizes + field(2, 1) + field(8, name) + field(9, value.tobytes()))

    gemm = field(1, b"x") + field(1, b"w") + field(1, b"b") + field(2, b"y") + field(4, b"Gemm")
    graph = field(1, gemm) + field(2, b"g") + constant(b"w", weights) + constant(b"b", bias)
    graph += field(11, shaped(b"x", 1, past)) + field(12, shaped(b"y", 1, columns))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def test_weights_that_users_bring_run_as_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'twofold[onnx]'")
    file = tmp_path / "last.onnx"
    file.write_bytes(onnx_model(past=4, ahead=3))
    (engine,) = load([f"onnx:{file}"])
    values = np.array([1.0, 2.0, 3.0, 4.0, 9.0])
    paths = engine.paths(values, 10.0, 5)
    assert paths.shape == (len(LEVELS), 5)
    assert paths[3].tolist() == pytest.approx([9.0] * 5, abs=1e-5), "standardised and back; the last step is held"
    assert paths[-1, 0] == pytest.approx(9.0 + 0.45 * values.std(), abs=1e-5)
    assert engine.paths(values[:2], 10.0, 2)[3].tolist() == pytest.approx([2.0, 2.0], abs=1e-5)
    file.write_bytes(b"no model")
    with pytest.raises(ConfigError, match="no model that runs here"):
        load([f"onnx:{file}"])
