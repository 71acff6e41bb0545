"""Alembic migrations of the ledger, run when it is opened. They travel inside the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from twofold.errors import ConfigError

HEAD: Final = "0007"  # newest revision in `versions/`; a test holds it to Alembic's own answer


def migrate(connection: sa.Connection) -> None:
    """Bring the tables to `HEAD` in the caller's write transaction; nothing is loaded when they are there.

    Raises:
        ConfigError: The database was written by a newer version.
    """
    present = _present(connection)
    if present == HEAD:
        return
    if present > HEAD:
        raise ConfigError(
            f"the ledger has schema {present}, this version knows up to {HEAD}; install the newer version"
        )
    from alembic import command  # noqa: PLC0415 - Alembic costs 0.2 s and is needed only for a new or old database
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", Path(__file__).parent.as_posix().replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _present(connection: sa.Connection) -> str:
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or "")
