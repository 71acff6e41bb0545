"""How loud libraries are: their news is for their authors, their warnings for operators."""

from __future__ import annotations

import logging
from typing import Final

_LIBRARIES: Final = ("alembic", "httpx", "httpcore", "numba", "uvicorn.error")


def quiet_libraries() -> None:
    """Keep warnings and errors only."""
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
