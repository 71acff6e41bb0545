"""`worker`: takes orders out of the queue and has store ship them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from opentelemetry.trace import SpanKind, StatusCode

from .call import PeerFailed
from .orders import NAME, Message, Orders
from .runtime import Shop
from .telemetry import extract

_POLL_S = 0.2
_RETRY_S = 5.0


async def start(shop: Shop) -> None:
    """Background work only."""
    orders = Orders(Path(shop.config.queue))
    shop.telemetry.meter.watch("queue.depth", "1", orders.depth, {"messaging.destination.name": NAME})

    async def handle(message: Message) -> None:
        attributes = {
            "messaging.system": "sqlite",
            "messaging.destination.name": NAME,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.message.id": str(message.id),
            "peer.entity": f"queue:{NAME}",
        }
        with shop.telemetry.tracer.start_as_current_span(
            f"process {NAME}", context=extract(message.headers), kind=SpanKind.CONSUMER, attributes=attributes
        ) as span:
            try:
                await shop.labour(0.015)
                await shop.caller.call("store", "POST", "/shipments", body={"products": message.body["products"]})
            except PeerFailed as error:
                span.set_status(StatusCode.ERROR, str(error))
                shop.telemetry.log.error("order %d not shipped, again in %.0f s: %s", message.id, _RETRY_S, error)  # noqa: TRY400 - the cause lies in another process; its trace is there
                orders.retry(message, _RETRY_S)
                return
            orders.done(message)
            shop.telemetry.meter.count("shop.orders.shipped")

    async def work() -> None:
        while True:
            if message := orders.claim():
                await handle(message)
            else:
                await asyncio.sleep(_POLL_S)

    shop.spawn(work())
