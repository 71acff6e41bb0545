"""Finds the engines of a port, so that none escapes its contract suite."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType


def engines_of(port: ModuleType, protocol: type) -> dict[str, type]:
    """Classes below the port's package that have every method of the protocol, by `module.Class`."""
    wanted = {name for name, each in vars(protocol).items() if inspect.isfunction(each) and not name.startswith("_")}
    found = {}
    for module in pkgutil.iter_modules(port.__path__, f"{port.__name__}."):
        loaded = importlib.import_module(module.name)
        for name, each in vars(loaded).items():
            if inspect.isclass(each) and each.__module__ == module.name and wanted <= set(dir(each)):
                found[f"{module.name.rpartition('.')[2]}.{name}"] = each
    return found
