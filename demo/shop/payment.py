"""`payment`: charges cards. Its metrics are not pushed: they wait on /metrics for a Prometheus scrape."""

from __future__ import annotations

from ..asgi import Request, Text
from . import telemetry
from .metrics import ScrapeMeter
from .runtime import Shop
from .serve import Service

TELEMETRY = telemetry.scraped
_DECLINED = 0.01


async def start(shop: Shop) -> Service:
    """Routes: a charge, and the scrape."""
    meter = shop.telemetry.meter
    if not isinstance(meter, ScrapeMeter):
        raise TypeError("payment's metrics are scraped")

    async def charge(request: Request) -> object:
        await shop.labour(0.020)
        declined = shop.random.random() < _DECLINED
        meter.count("payment.charges", 1, {"outcome": "declined" if declined else "approved"})
        meter.count("payment.amount.euros", float(request.body["amount"]))
        if declined:
            shop.telemetry.log.warning("card declined for shopper %s", request.body["shopper"])
        return {"approved": not declined}

    async def scrape(_: Request) -> object:
        return Text(meter.expose(), "text/plain; version=0.0.4; charset=utf-8")

    service = Service(shop.telemetry)
    service.add("POST", "/charges", charge)
    service.add("GET", "/metrics", scrape)
    return service
