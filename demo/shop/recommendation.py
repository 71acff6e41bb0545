"""`recommendation`: asks the model which article each shopper would click; without it, the popular one.

Shoppers come in small groups (the storefront renders ahead for those online), so one question to
the model holds many independent rows.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from ..asgi import Request
from .call import PeerFailed
from .runtime import Shop
from .sabotage import Hog
from .serve import Service

MODEL = "recommender"
INPUTS = ("price", "discount", "rating", "popularity", "basket_value", "hour")
CANDIDATES = 3
_NOT_THERE = (404, 503)
_PAUSE_S = 10.0
_WINDOW_S = 30.0
_LEAST_SHOWN = 20

Row = Mapping[str, float]


class Model:
    """The model behind Open Inference Protocol v2. After a failure it is left alone for 10 s."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._url = httpx.URL(f"{shop.config.twofold_url}/v2/models/{MODEL}/infer")
        self._headers = {"authorization": f"Bearer {shop.config.token}"} if shop.config.token else {}
        self._attributes: dict[str, str | int] = {
            "server.address": self._url.host,
            "server.port": self._url.port or 80,
            "peer.service": MODEL,
            "peer.entity": f"model:{MODEL}",
            "twofold.model": MODEL,
        }
        self._again_at = 0.0

    async def scores(self, rows: Sequence[Row]) -> list[float] | None:
        """One score a row, or None when the model cannot be asked now."""
        if time.monotonic() < self._again_at:
            return None
        columns = [
            {"name": name, "shape": [len(rows)], "datatype": "FP64", "data": [row[name] for row in rows]}
            for name in INPUTS
        ]
        try:
            answer = await self._shop.caller.fetch(
                "POST",
                self._url,
                "/v2/models/{model}/infer",
                peer=MODEL,
                attributes=self._attributes,
                body={"inputs": columns},
                headers=self._headers,
                tolerated=_NOT_THERE,
            )
            scores = next(output["data"] for output in answer["outputs"] if output["name"] == "score")
        except PeerFailed as error:
            self._again_at = time.monotonic() + _PAUSE_S
            self._shop.telemetry.log.warning("popular articles instead of the model's for %.0f s: %s", _PAUSE_S, error)
            return None
        return [float(score) for score in scores]


class Clicks:
    """Share of shown articles that were clicked, over the last 30 s."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()
        self._ratio: float | None = None

    def add(self, shown: int, clicked: int) -> None:
        """Note what shoppers did with one answer."""
        self._seen.append((time.monotonic(), shown, clicked))

    def ratio(self) -> float | None:
        """0..1. While fewer than 20 were shown: the last one, None before there is one."""
        oldest = time.monotonic() - _WINDOW_S
        while self._seen and self._seen[0][0] < oldest:
            self._seen.popleft()
        shown = sum(seen[1] for seen in self._seen)
        if shown >= _LEAST_SHOWN:
            self._ratio = sum(seen[2] for seen in self._seen) / shown
        return self._ratio


async def start(shop: Shop) -> Service:
    """Routes: recommendations for a group of shoppers, and what they clicked."""
    model, clicks, hog = Model(shop), Clicks(), Hog()
    shop.switches.follow("cpu_hog", hog.switch)
    meter = shop.telemetry.meter
    meter.watch("recommendation.click_ratio", "1", clicks.ratio)

    async def recommend(request: Request) -> object:
        shoppers: list[dict[str, Any]] = request.body["shoppers"]
        articles = await shop.caller.call("catalog", "GET", "/features", query={"count": len(shoppers) * CANDIDATES})
        await shop.labour(0.004)
        rows = [{**article, **shoppers[place // CANDIDATES]} for place, article in enumerate(articles)]
        scores = await model.scores(rows)
        by = "popularity" if scores is None else "model"
        ranks = [row["popularity"] for row in rows] if scores is None else scores
        meter.count("shop.recommendations.shown", len(shoppers), {"by": by})
        best = []
        for first in range(0, len(rows), CANDIDATES):
            chosen = max(range(first, first + CANDIDATES), key=ranks.__getitem__)
            best.append(articles[chosen]["id"])
        return {"products": best, "by": by}

    async def note_clicks(request: Request) -> object:
        clicks.add(int(request.body["shown"]), int(request.body["clicked"]))
        meter.count("shop.recommendations.clicked", int(request.body["clicked"]))
        return {}

    service = Service(shop.telemetry)
    service.add("POST", "/recommendations", recommend)
    service.add("POST", "/clicks", note_clicks)
    return service
