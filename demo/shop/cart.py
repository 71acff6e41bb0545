"""`cart`: what each shopper wants to buy, in memory; articles are reserved in store."""

from __future__ import annotations

from collections import OrderedDict

from ..asgi import Request
from .runtime import Shop
from .sabotage import Leak
from .serve import Service

_KEPT = 2000


async def start(shop: Shop) -> Service:
    """Routes: read, add to, and empty a cart."""
    carts: OrderedDict[str, list[int]] = OrderedDict()
    leak = Leak()
    shop.switches.follow("memory_leak", leak.switch)
    shop.spawn(leak.work())
    shop.telemetry.meter.watch("shop.carts.active", "1", lambda: len(carts))

    async def read(request: Request) -> object:
        await shop.labour(0.003)
        return {"products": carts.get(request.path["shopper"], [])}

    async def add(request: Request) -> object:
        await shop.labour(0.004)
        shopper, product = request.path["shopper"], int(request.body["product"])
        reserved = await shop.caller.call("store", "POST", "/reservations", body={"product": product})
        if reserved["reserved"]:
            carts.setdefault(shopper, []).append(product)
            carts.move_to_end(shopper)
            while len(carts) > _KEPT:
                carts.popitem(last=False)
        return {"products": carts.get(shopper, [])}

    async def empty(request: Request) -> object:
        await shop.labour(0.002)
        return {"products": carts.pop(request.path["shopper"], [])}

    service = Service(shop.telemetry)
    service.add("GET", "/carts/{shopper}", read)
    service.add("POST", "/carts/{shopper}", add)
    service.add("DELETE", "/carts/{shopper}", empty)
    return service
