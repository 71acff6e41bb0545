"""Columns of a table as a model takes them: one array of shape (n, k) in declared order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.errors import InputError
from twofold.records.model import Field


def arrays(table: pa.Table, inputs: Sequence[Field]) -> dict[str, npt.NDArray[Any]]:
    """Each input's column: float64, or objects for text.

    Raises:
        InputError: A column is missing, holds no numbers, or holds nulls.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for field in inputs:
        if field.name not in table.column_names:
            raise InputError(
                f"the data has no column {field.name!r}; it has {', '.join(table.column_names)}", reason="no_column"
            )
        column = table[field.name]
        if column.null_count:
            raise InputError(
                f"column {field.name!r} holds {column.null_count} nulls; fill or drop them in load()", reason="nulls"
            )
        try:
            if field.datatype == "BYTES":
                found[field.name] = np.array(column.cast(pa.string()).to_pylist(), dtype=object)
            else:
                found[field.name] = column.cast(pa.float64()).to_numpy()
        except pa.ArrowException as error:
            raise InputError(f"column {field.name!r} is no {field.datatype}: {error}", reason="datatype") from error
    return found


def matrix(columns: Mapping[str, npt.NDArray[Any]], inputs: Sequence[Field]) -> npt.NDArray[Any]:
    """Columns side by side, shape (n, k): float64 when all are numbers, else objects."""
    mixed = any(field.datatype == "BYTES" for field in inputs)
    return np.column_stack([columns[field.name].astype(object if mixed else np.float64) for field in inputs])
