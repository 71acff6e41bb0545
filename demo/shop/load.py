"""`load`: shoppers. They are the outside world, so they send no telemetry.

Journeys are dealt from a shuffled deck and paced with a little jitter: mixed, but steady. What a
shopper clicks follows the true taste in `model.world`, never what the model was told.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any

from ..model.world import click_chance, item
from . import telemetry
from .call import PeerFailed
from .checkout import REGIONS
from .goods import COUNT, products
from .runtime import Shop

TELEMETRY = telemetry.silent
DECK = ("page",) * 4 + ("article",) * 4 + ("recommendations",) * 5 + ("buy",) * 3
GROUP = 6
_REPORT_S = 5.0
_JITTER = 0.3


class Shoppers:
    """The journeys. Each ends in a count of what went well and what failed."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._random: Random = shop.random
        self._serial = 0
        self.counts: Counter[str] = Counter()

    async def page(self) -> None:
        """Leaf through the articles."""
        await self._ask("GET", "/products", query={"page": self._random.randrange(100)})

    async def article(self) -> None:
        """Look at one article."""
        await self._ask("GET", "/products/{id}", path={"id": self._random.randrange(COUNT)})

    async def recommendations(self) -> None:
        """A group of shoppers is shown an article each; some click."""
        group = [item(self._random) for _ in range(GROUP)]
        shoppers = [{name: drawn[name] for name in ("basket_value", "hour")} for drawn in group]
        answer = await self._ask("POST", "/recommendations", body={"shoppers": shoppers})
        clicked = 0
        for shopper, number in zip(shoppers, answer["products"], strict=True):
            product = products()[number]
            seen = {name: getattr(product, name) for name in ("price", "discount", "rating", "popularity")}
            clicked += self._random.random() < click_chance({**seen, **shopper})
        await self._ask("POST", "/clicks", body={"shown": len(shoppers), "clicked": clicked})

    async def buy(self) -> None:
        """Put one or two articles into a cart and check out."""
        self._serial += 1
        shopper = f"shopper-{self._serial}"
        for _ in range(self._random.choice((1, 1, 2))):
            await self._ask(
                "POST", "/carts/{shopper}", path={"shopper": shopper}, body={"product": self._random.randrange(COUNT)}
            )
        await self._ask("POST", "/checkout", body={"shopper": shopper, "region": self._random.choice(REGIONS)})

    async def go(self, journey: Callable[[], Awaitable[None]]) -> None:
        """One journey; a shopper who meets an error leaves."""
        try:
            await journey()
        except PeerFailed:
            self.counts["left"] += 1
        else:
            self.counts["content"] += 1

    async def _ask(self, method: str, template: str, **call: Any) -> Any:
        self.counts["requests"] += 1
        return await self._shop.caller.call("gateway", method, template, **call)


def deal(random: Random) -> Iterator[str]:
    """Journeys without end: shuffled decks, so that any minute holds the same mix.

    >>> dealt = deal(Random(1))
    >>> sorted(next(dealt) for _ in DECK) == sorted(DECK)
    True
    """
    while True:
        yield from random.sample(DECK, len(DECK))


REQUESTS_PER_JOURNEY = (4 + 4 + 5 * 2 + 3 * (4 / 3 + 1)) / len(DECK)


async def start(shop: Shop) -> None:
    """Background work only."""
    shoppers = Shoppers(shop)
    under_way: set[asyncio.Task[None]] = set()

    async def arrive() -> None:
        pause_s = REQUESTS_PER_JOURNEY / shop.config.rate
        for name in deal(shop.random):
            task = asyncio.get_running_loop().create_task(shoppers.go(getattr(shoppers, name)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(pause_s * shop.random.uniform(1 - _JITTER, 1 + _JITTER))

    async def report() -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            sys.stdout.write(json.dumps({"counts": dict(shoppers.counts), "at": time.time()}) + "\n")
            sys.stdout.flush()

    shop.spawn(arrive())
    shop.spawn(report())
