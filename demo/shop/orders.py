"""The durable queue `orders`: a SQLite file between checkout and worker. At least once, by leases."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "orders"
_LEASE_S = 30.0

_TABLE = """
create table if not exists message (
    id integer primary key autoincrement,
    headers text not null,
    body text not null,
    visible_at real not null
)"""


@dataclass(frozen=True, slots=True)
class Message:
    """One order on its way. `headers` carry the trace context."""

    id: int
    headers: Mapping[str, str]
    body: Any


class Orders:
    """Both ends of the queue. Suits a few messages a second; every call commits."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()  # the thread that exports metrics asks for the depth
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.execute(_TABLE)

    def publish(self, headers: Mapping[str, str], body: Any) -> int:
        """Add a message; returns its id."""
        values = (json.dumps(headers), json.dumps(body))
        [row] = self._run("insert into message (headers, body, visible_at) values (?, ?, 0) returning id", values)
        return int(row[0])

    def claim(self) -> Message | None:
        """The oldest message that nobody works on, leased for 30 s; None when there is none."""
        now = time.time()
        rows = self._run(
            "update message set visible_at = ? where id = "
            "(select id from message where visible_at <= ? order by id limit 1) returning id, headers, body",
            (now + _LEASE_S, now),
        )
        return next((Message(row[0], json.loads(row[1]), json.loads(row[2])) for row in rows), None)

    def done(self, message: Message) -> None:
        """Take a finished message out."""
        self._run("delete from message where id = ?", (message.id,))

    def retry(self, message: Message, delay_s: float) -> None:
        """Give a message back, to be claimed again after `delay_s`."""
        self._run("update message set visible_at = ? where id = ?", (time.time() + delay_s, message.id))

    def depth(self) -> int:
        """Messages not finished."""
        return int(self._run("select count(*) from message")[0][0])

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _run(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()
