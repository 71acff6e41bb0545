"""What one process of the shop is told at its start, in one environment variable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

VARIABLE = "SHOP_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one process.

    Attributes:
        service: Its name: `cart`.
        version: What it says it runs; some versions have a bug.
        port: Where it listens on 127.0.0.1; 0 when it does not.
        data: Its own folder.
        queue: The file of the queue `orders`.
        peers: Base URL of every other service.
        otlp_url: Where telemetry goes; `/v1/traces` and the like are added.
        twofold_url: Where the model is asked.
        token: Bearer token for Twofold, empty when it needs none.
        host: `host.name` in telemetry.
        disk_budget_bytes: Size at which the data folder counts as full.
        rate: Requests a second of the load.
        feeds: Version of each data feed that catalog publishes.
        parent: Pid of the control.
    """

    service: str
    version: str
    port: int
    data: str
    queue: str
    peers: Mapping[str, str]
    otlp_url: str
    twofold_url: str
    token: str = ""
    host: str = "shop-1"
    disk_budget_bytes: int = 20_000_000
    rate: float = 5.0
    feeds: Mapping[str, int] = field(default_factory=dict)
    parent: int = 0

    @property
    def folder(self) -> Path:
        """`data` as a path."""
        return Path(self.data)

    def dump(self) -> str:
        """As text for the environment.

        >>> told = Config(service="cart", version="1", port=1, data="", queue="", peers={}, otlp_url="", twofold_url="")
        >>> Config.load(told.dump()) == told
        True
        """
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Config:
        """Inverse of `dump`."""
        return cls(**json.loads(text))

    @classmethod
    def from_env(cls) -> Config:
        """The settings that the control gave. Raises `SystemExit` with advice when there are none."""
        text = os.environ.get(VARIABLE)
        if not text:
            raise SystemExit(f"{VARIABLE} is not set: the shop's processes are started by `python -m demo.control`")
        return cls.load(text)
