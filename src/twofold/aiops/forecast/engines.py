"""Forecasters beside our own: statistical ones and pretrained ones that users bring, behind one small port.

They are extras: nothing here is imported before the settings name one. Each is tried on the past of each series, and
answers only for those that it foresaw better than the closed form.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from twofold.errors import ConfigError, InputError
from twofold.stats.paths import LEVELS

Floats = npt.NDArray[np.float64]

_HOUR_S: Final = 3600.0
_DAY_HOURS: Final = 24
_INTERVALS: Final = (50, 80, 90)


@runtime_checkable
class Engine(Protocol):
    """A forecaster of values.

    Attributes:
        name: As the settings name it; stands in every forecast that it made.
    """

    name: str

    def paths(self, values: Floats, step_s: float, ahead: int) -> Floats:
        """The values ahead, a row a level of `stats.paths.LEVELS`, shape (levels, ahead).

        Args:
            values: The past at an even step, no gaps, oldest first.
            step_s: The step.
            ahead: Steps ahead.
        """
        ...


def load(names: Sequence[str]) -> tuple[Engine, ...]:
    """The forecasters that the settings name.

    Raises:
        ConfigError: A name that nothing answers to, a missing package, or a file that is no model.
    """
    return tuple(Guarded(_load(name)) for name in names)


class Guarded:
    """A forecaster whose faults are refusals: it is not our code, and other series must not wait for it."""

    def __init__(self, engine: Engine) -> None:
        self.name, self._engine = engine.name, engine

    def paths(self, values: Floats, step_s: float, ahead: int) -> Floats:
        """See `Engine.paths`. Raises `InputError` when it fails, or gives what is no forecast."""
        try:
            told = np.asarray(self._engine.paths(values, step_s, ahead), np.float64)
        except Exception as error:  # the boundary to code that is not ours
            raise InputError(f"forecaster {self.name} failed: {error!r}", reason="engine_failed") from error
        if told.shape != (len(LEVELS), ahead) or not np.isfinite(told).all():
            raise InputError(
                f"forecaster {self.name} gave paths of shape {told.shape}, wanted are finite ones of "
                f"{(len(LEVELS), ahead)}",
                reason="bad_paths",
            )
        ordered: Floats = np.sort(told, axis=0)
        return ordered


def _load(name: str) -> Engine:
    kind, _, rest = name.partition(":")
    openers: dict[str, Callable[[str, str], Engine]] = {
        "statsforecast": StatsForecast,
        "onnx": Onnx,
        "python": _python,
    }
    if kind not in openers or not rest:
        raise ConfigError(
            f"forecast.engines names {name!r}; write statsforecast:<model>, onnx:<file> or python:<module>:<factory>",
            setting="forecast.engines",
        )
    return openers[kind](name, rest)


def _imported(module: str, name: str, remedy: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"forecast.engines names {name!r}, which needs {module}: {remedy}") from error


def _python(name: str, rest: str) -> Engine:
    module, _, factory = rest.partition(":")
    found = _imported(module, name, "it cannot be imported here")
    made = getattr(found, factory, None)
    if not callable(made):
        raise ConfigError(f"forecast.engines names {name!r}, but {module} has no {factory or 'factory'} to call")
    engine = made()
    if not callable(getattr(engine, "paths", None)):
        raise ConfigError(f"forecast.engines names {name!r}, whose factory made no forecaster: it has no `paths`")
    return _Named(name, engine.paths)


class _Named:
    """A user's forecaster under the name that the settings give it."""

    def __init__(self, name: str, paths: Callable[[Floats, float, int], Any]) -> None:
        self.name, self._paths = name, paths

    def paths(self, values: Floats, step_s: float, ahead: int) -> Floats:
        """See `Engine.paths`."""
        told: Floats = self._paths(values, step_s, ahead)
        return told


class StatsForecast:
    """A model of the statsforecast library, such as `AutoETS`, `AutoTheta`, `AutoARIMA` or `AutoCES`.

    Suits trends and daily habits over days. Steps below an hour are joined to hours first where the past holds two
    days: these models take a season of 24 steps, not of 288. A fit takes from a hundredth of a second to one.

    Raises:
        ConfigError: The library is not installed, or has no such model.
    """

    def __init__(self, name: str, model: str) -> None:
        self.name = name
        models = _imported("statsforecast.models", name, "pip install 'twofold[forecast]'")
        self._model = getattr(models, model, None)
        if not isinstance(self._model, type):
            raise ConfigError(f"forecast.engines names {name!r}, but statsforecast has no model {model!r}")

    def paths(self, values: Floats, step_s: float, ahead: int) -> Floats:
        """See `Engine.paths`."""
        join = max(int(_HOUR_S / step_s), 1)
        if len(values) // join < 2 * _DAY_HOURS:
            join = 1
        whole = values[len(values) % join :].reshape(-1, join).mean(axis=1)
        season = _DAY_HOURS if join > 1 or step_s >= _HOUR_S else 1
        assert self._model is not None  # noqa: S101 - the constructor saw to it
        fitted = self._model(season_length=season).fit(whole)
        steps = math.ceil(ahead / join)
        told = fitted.predict(h=steps, level=list(_INTERVALS))
        rows = [*(told[f"lo-{each}"] for each in reversed(_INTERVALS)), told["mean"]]
        rows += [told[f"hi-{each}"] for each in _INTERVALS]
        paths: Floats = np.repeat(np.array(rows, np.float64), join, axis=1)[:, :ahead]
        return paths


class Onnx:
    """A pretrained forecaster as an ONNX file that the user brings.

    It takes one input of 32-bit floats, shape (1, past), and gives one output, shape (1, levels, ahead), with the
    levels of `stats.paths.LEVELS`. Values go in and come out standardised: less their mean, in their deviations. A
    past longer than the model's is cut to its newest part, a shorter one is filled at its beginning; beyond the
    model's horizon the last step is held.

    Raises:
        ConfigError: No such file, no such model, or onnxruntime is not installed.
    """

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        runtime = _imported("onnxruntime", name, "pip install 'twofold[onnx]'")
        if not Path(file).is_file():
            raise ConfigError(f"forecast.engines names {name!r}, but there is no file {file}")
        try:
            self._session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own errors have no common type
            raise ConfigError(f"forecast.engines names {name!r}, which is no model that runs here: {error}") from error
        self._input = self._session.get_inputs()[0]
        shape = self._input.shape
        self._past = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else 0  # noqa: PLR2004 - (1, past)

    def paths(self, values: Floats, step_s: float, ahead: int) -> Floats:
        """See `Engine.paths`."""
        del step_s
        mean, spread = float(values.mean()), float(values.std()) or 1.0
        past = (values - mean) / spread
        if self._past:
            past = past[-self._past :]
            past = np.concatenate([np.full(self._past - len(past), past[0]), past])
        told = self._session.run(None, {self._input.name: past[None, :].astype(np.float32)})[0]
        rows = np.asarray(told, np.float64).reshape(len(LEVELS), -1) * spread + mean
        if rows.shape[1] < ahead:
            rows = np.concatenate([rows, np.repeat(rows[:, -1:], ahead - rows.shape[1], axis=1)], axis=1)
        return rows[:, :ahead]
