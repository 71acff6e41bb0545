"""`store`: stock of every article in SQLite. Each statement is a database span."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from opentelemetry.trace import SpanKind

from ..asgi import Request
from .goods import COUNT
from .runtime import Shop, used_bytes
from .sabotage import Filler
from .serve import Service

DATABASE = "inventory"
_STOCK = 10_000
_SCHEMA = """
create table if not exists stock (product integer primary key, quantity integer not null);
create table if not exists reservation (id integer primary key autoincrement, product integer not null);
"""


class Inventory:
    """The stock table behind spans. Writes fail like on a full disk once the folder's budget is used up."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        path = shop.config.folder / f"{DATABASE}.sqlite"
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.execute("pragma wal_autocheckpoint=64")  # else the log alone grows to a fifth of the disk's budget
        self._db.executescript(_SCHEMA)
        with closing(self._db.execute("select count(*) from stock")) as cursor:
            if cursor.fetchone()[0] == 0:
                self._db.execute("begin")
                self._db.executemany("insert into stock values (?, ?)", [(number, _STOCK) for number in range(COUNT)])
                self._db.execute("commit")

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query."""
        with self._span(sql):
            return self._db.execute(sql, values).fetchall()

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Rows changed. Raises `OSError` (no space left) when the folder is full."""
        with self._span(sql):
            if used_bytes(self._shop.config) >= self._shop.config.disk_budget_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), DATABASE)
            return self._db.execute(sql, values).rowcount

    def _span(self, sql: str) -> Any:
        operation, table = sql.split(" ", 1)[0].upper(), _table(sql)
        return self._shop.telemetry.tracer.start_as_current_span(
            f"{operation} {table}",
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "sqlite",
                "db.system": "sqlite",
                "db.namespace": DATABASE,
                "db.operation.name": operation,
                "db.query.text": sql,
                "peer.service": DATABASE,
                "peer.entity": f"database:{DATABASE}",
            },
        )


def _table(sql: str) -> str:
    """The table that a statement names first.

    >>> _table("insert into reservation (product) values (?)")
    'reservation'
    """
    return "reservation" if "reservation" in sql else "stock"


async def start(shop: Shop) -> Service:
    """Routes of the stock: look up, reserve, ship."""
    filler = Filler(shop.config.folder / "debug.log", shop.config.disk_budget_bytes)
    shop.switches.follow("disk_full", filler.switch)
    shop.spawn(filler.work())
    inventory = Inventory(shop)

    async def look_up(request: Request) -> object:
        wanted = [int(number) for number in request.query["ids"].split(",")]
        await shop.labour(0.002)
        marks = ",".join("?" * len(wanted))
        rows = inventory.read(f"select product, quantity from stock where product in ({marks})", wanted)  # noqa: S608 - only question marks go in
        return dict(rows)

    async def reserve(request: Request) -> object:
        product = int(request.body["product"])
        await shop.labour(0.003)
        taken = inventory.write(
            "update stock set quantity = quantity - 1 where product = ? and quantity > 0", [product]
        )
        if taken:
            inventory.write("insert into reservation (product) values (?)", [product])
        return {"reserved": bool(taken)}

    async def ship(request: Request) -> object:
        await shop.labour(0.003)
        for product in request.body["products"]:
            inventory.write(
                "delete from reservation where id = (select id from reservation where product = ? limit 1)", [product]
            )
            inventory.write("update stock set quantity = quantity + 1 where product = ?", [product])
        return {"shipped": len(request.body["products"])}

    service = Service(shop.telemetry)
    service.add("GET", "/stock", look_up)
    service.add("POST", "/reservations", reserve)
    service.add("POST", "/shipments", ship)
    return service
