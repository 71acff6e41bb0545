"""`checkout`: cart, payment, then the order goes into the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opentelemetry.trace import SpanKind

from ..asgi import Request
from .goods import products
from .names import BUGGY_VERSION
from .orders import NAME, Orders
from .runtime import Shop
from .serve import Service
from .telemetry import inject

REGIONS = ("north", "east", "south", "west", "islands", "overseas")
_TAX = {"north": 0.25, "east": 0.21, "south": 0.22, "west": 0.20, "islands": 0.15, "overseas": 0.0}
_TAX_REWORKED = {"north": 0.25, "east": 0.21, "south": 0.22}  # 1.4.0 forgot three of six regions


async def start(shop: Shop) -> Service:
    """Route: check a cart out."""
    orders = Orders(Path(shop.config.queue))
    tax = _TAX_REWORKED if shop.config.version == BUGGY_VERSION else _TAX
    goods = products()

    def publish(order: dict[str, Any]) -> int:
        attributes = {
            "messaging.system": "sqlite",
            "messaging.destination.name": NAME,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "peer.entity": f"queue:{NAME}",
        }
        with shop.telemetry.tracer.start_as_current_span(f"send {NAME}", kind=SpanKind.PRODUCER, attributes=attributes):
            return orders.publish(inject({}), order)

    async def check_out(request: Request) -> object:
        shopper, region = str(request.body["shopper"]), str(request.body["region"])
        await shop.labour(0.005)
        cart = await shop.caller.call("cart", "GET", "/carts/{shopper}", path={"shopper": shopper})
        if not cart["products"]:
            return {"status": "empty"}
        net = sum(goods[number].price * (1 - goods[number].discount) for number in cart["products"])
        amount = round(net * (1 + tax[region]), 2)
        paid = await shop.caller.call("payment", "POST", "/charges", body={"shopper": shopper, "amount": amount})
        if not paid["approved"]:
            return {"status": "declined"}
        number = publish({"shopper": shopper, "products": cart["products"], "amount": amount})
        await shop.caller.call("cart", "DELETE", "/carts/{shopper}", path={"shopper": shopper})
        shop.telemetry.meter.count("shop.orders.placed")
        shop.telemetry.meter.count("shop.orders.value", amount)
        shop.telemetry.log.info("order %d placed: %d articles, %.2f Euro", number, len(cart["products"]), amount)
        return {"status": "placed", "order": number}

    service = Service(shop.telemetry)
    service.add("POST", "/checkout", check_out)
    return service
