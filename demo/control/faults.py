"""The faults: what each does, whom it hurts, and what is the truth about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..shop.names import BUGGY_VERSION

DEFAULT_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to break the shop.

    Attributes:
        entity: The true cause, as Twofold names it; empty when there is nothing to find.
        accepted: Entities that also count as right.
        kind: What sort of trouble: latency, errors, memory …
        service: Where it is switched.
        remedies: Calls that cure it, as the control writes them.
    """

    name: str
    title: str
    description: str
    entity: str
    kind: str
    service: str
    accepted: tuple[str, ...] = field(default_factory=tuple)
    remedies: tuple[str, ...] = field(default_factory=tuple)

    @property
    def causes(self) -> list[str]:
        """All entities that count as right, the truest first."""
        return [self.entity, *self.accepted] if self.entity else []


def _restart(service: str) -> tuple[str, ...]:
    return (f"/processes/{service}/restart",)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(
            name="latency",
            title="Slow catalog",
            description="Each look into catalog's index takes 400 ms longer.",
            entity="service:catalog",
            kind="latency",
            service="catalog",
            remedies=_restart("catalog"),
        ),
        Fault(
            name="bad_deploy",
            title="Bad deploy of checkout",
            description=f"checkout {BUGGY_VERSION} is rolled out; it fails for half of the orders.",
            entity="service:checkout",
            kind="errors",
            service="checkout",
            remedies=("/deploys/checkout/rollback",),
        ),
        Fault(
            name="memory_leak",
            title="Memory leak in cart",
            description="cart forgets no session: 4 MB/s, up to 200 MB, with ever longer garbage collections.",
            entity="service:cart",
            kind="memory",
            service="cart",
            remedies=_restart("cart"),
        ),
        Fault(
            name="cpu_hog",
            title="Busy loop in recommendation",
            description="A thread of recommendation keeps 60 % of a core busy and its requests waiting.",
            entity="service:recommendation",
            kind="cpu",
            service="recommendation",
            remedies=_restart("recommendation"),
        ),
        Fault(
            name="dependency_down",
            title="Payment is down",
            description="payment was killed and nobody starts it again.",
            entity="service:payment",
            kind="availability",
            service="payment",
            remedies=_restart("payment"),
        ),
        Fault(
            name="disk_full",
            title="Disk of store runs full",
            description="A forgotten debug log fills store's folder; then every write fails.",
            entity="service:store",
            kind="disk",
            service="store",
            accepted=("database:inventory",),
            remedies=_restart("store"),
        ),
        Fault(
            name="drift",
            title="Price feed in cents",
            description="The price feed publishes version 2, in cents: no error, but the model recommends badly.",
            entity="feature:recommender/price",
            kind="drift",
            service="catalog",
            accepted=("model:recommender", "dataset:prices"),
            remedies=("/data/prices/rollback",),
        ),
        Fault(
            name="decoy_deploy",
            title="Innocent deploy",
            description="A deploy is announced for a service that works as before. Nothing is to be found.",
            entity="",
            kind="decoy",
            service="",
        ),
    )
}
