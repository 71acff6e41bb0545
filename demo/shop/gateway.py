"""`gateway`: the storefront's only door; hands every call on."""

from __future__ import annotations

from ..asgi import Handler, Request
from .runtime import Shop
from .serve import Service

_ROUTES = (
    ("GET", "/products", "catalog"),
    ("GET", "/products/{id}", "catalog"),
    ("POST", "/recommendations", "recommendation"),
    ("POST", "/clicks", "recommendation"),
    ("POST", "/carts/{shopper}", "cart"),
    ("POST", "/checkout", "checkout"),
)


async def start(shop: Shop) -> Service:
    """Routes: the public part of each service."""
    service = Service(shop.telemetry)
    for method, template, peer in _ROUTES:
        service.add(method, template, _forward(shop, method, template, peer))
    return service


def _forward(shop: Shop, method: str, template: str, peer: str) -> Handler:
    async def forward(request: Request) -> object:
        await shop.labour(0.001)
        return await shop.caller.call(peer, method, template, path=request.path, query=request.query, body=request.body)

    return forward
