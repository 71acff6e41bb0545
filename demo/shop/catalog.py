"""`catalog`: articles with their stock for the storefront, and the price feed for recommendations."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from http import HTTPStatus

from ..asgi import Refused, Request
from .goods import products
from .runtime import Shop
from .serve import Service

PAGE = 8
_SLOW_S = 0.4
_CENTS_VERSION = 2


async def start(shop: Shop) -> Service:
    """Routes: a page of articles, one article, and a sample of articles as features."""
    goods = products()
    shop.switches.set("feed:prices", shop.config.feeds.get("prices", 1))

    async def read_index() -> None:
        await shop.labour(0.006)
        if shop.switches.get("latency"):
            await asyncio.sleep(_SLOW_S)

    async def page(request: Request) -> object:
        first = int(request.query.get("page", "0")) * PAGE % len(goods)
        shown = goods[first : first + PAGE]
        await read_index()
        ids = ",".join(str(product.id) for product in shown)
        stock = await shop.caller.call("store", "GET", "/stock", query={"ids": ids})
        return [{**asdict(product), "stock": stock.get(str(product.id), 0)} for product in shown]

    async def one(request: Request) -> object:
        number = int(request.path["id"])
        if number >= len(goods):
            raise Refused(HTTPStatus.NOT_FOUND, f"no article {number}; there are {len(goods)}")
        await read_index()
        stock = await shop.caller.call("store", "GET", "/stock", query={"ids": number})
        return {**asdict(goods[number]), "stock": stock.get(str(number), 0)}

    async def features(request: Request) -> object:
        await read_index()
        chosen = shop.random.sample(goods, int(request.query["count"]))
        factor = 100 if shop.switches.get("feed:prices") == _CENTS_VERSION else 1
        return [
            {
                "id": product.id,
                "price": product.price * factor,
                "discount": product.discount,
                "rating": product.rating,
                "popularity": product.popularity,
            }
            for product in chosen
        ]

    service = Service(shop.telemetry)
    service.add("GET", "/products", page)
    service.add("GET", "/products/{id}", one)
    service.add("GET", "/features", features)
    return service
