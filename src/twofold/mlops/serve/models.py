"""Which versions are loaded and who answers: follows the release ledger, swaps routes whole."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from twofold.errors import NotFound, Transient, TwofoldError
from twofold.mlops import formats
from twofold.mlops.formats import Predictor
from twofold.mlops.serve import metrics
from twofold.mlops.traffic import chain, fold
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import ModelKind, ModelVersion, Release, ReleaseStage
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

LOG: Final = logging.getLogger(__name__)
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version ready to predict, in its stage."""

    version: ModelVersion
    predictor: Predictor
    stage: ReleaseStage
    weight: float


@dataclass(frozen=True, slots=True)
class Route:
    """One model's versions: who answers, who gets a copy."""

    live: Loaded | None
    canaries: tuple[Loaded, ...]
    shadows: tuple[Loaded, ...]

    def all(self) -> tuple[Loaded, ...]:
        """Every loaded version, live first."""
        return (*((self.live,) if self.live else ()), *self.canaries, *self.shadows)

    def choose(self, request_id: str) -> Loaded | None:
        """The version that answers this request: a canary for its share of request ids, always the same one."""
        if self.canaries:
            point = share(request_id)
            for canary in self.canaries:
                point -= canary.weight
                if point < 0:
                    return canary
        return self.live


def share(request_id: str) -> float:
    """A number in [0, 1) that depends on the id alone.

    >>> share("a") == share("a")
    True
    """
    return int.from_bytes(blake2b(request_id.encode(), digest_size=6).digest()) / (1 << 48)


class Models:
    """Loaded versions by model. `refresh` is called by one thread; reading needs no lock.

    A version that cannot be loaded leaves the model's route as it was and stands in `failures`; it is
    tried again with the model's next release, or at once when the reason is transient.
    """

    def __init__(self, ledger: Ledger, blobs: Blobs, *, tenant: str = DEFAULT_TENANT) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._tenant = tenant
        self._after = -1
        self._tried = False
        self._waiting: set[str] = set()
        self._routes: dict[str, Route] = {}
        self.failures: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """Whether every model that was ever released has been tried once."""
        return self._tried

    def names(self) -> list[str]:
        """Models with a loaded version."""
        return sorted(self._routes)

    def route(self, model: str) -> Route:
        """The model's route. Raises `NotFound`."""
        if (found := self._routes.get(model)) is None:
            raise NotFound(
                f"model {model!r} is not served; served are {', '.join(self.names()) or 'none'}", model=model
            )
        return found

    def choose(self, model: str, version: str, request_id: str) -> Loaded:
        """Who answers: the named version, or by traffic. Raises `NotFound`."""
        route = self.route(model)
        if not version:
            if (chosen := route.choose(request_id)) is not None:
                return chosen
            raise NotFound(f"model {model!r} has no live version yet", model=model)
        for loaded in route.all():
            if loaded.version.version == version:
                return loaded
        known = ", ".join(loaded.version.version for loaded in route.all())
        raise NotFound(f"model {model!r} serves versions {known}, not {version!r}", model=model, version=version)

    def refresh(self) -> bool:
        """Take what changed in the release ledger; whether any route changed.

        Raises:
            Unavailable: The ledger does not answer; nothing changed.
        """
        if self._after >= 0:
            self._look()
        else:
            self._look_first()
        waiting, self._waiting = self._waiting, set()
        swapped = [self._load(model) for model in sorted(waiting)]
        self._tried = True
        return any(swapped)

    def _look_first(self) -> None:
        """Every model that was ever released waits to be loaded."""
        head, after = self._ledger.head(), ""
        while page := self._ledger.find(Release, tenant=self._tenant, limit=_PAGE, after=after, newest_first=False):
            self._waiting |= {release.model for release in page}
            after = page[-1].id
        self._after = head

    def _look(self) -> None:
        """Models with new releases wait to be loaded."""
        while page := self._ledger.changes(self._after):
            for change in page:
                if change.table == "releases" and change.tenant == self._tenant:
                    self._waiting.add(change.id.rsplit("#", 1)[0])
            self._after = page[-1].seq

    def _load(self, model: str) -> bool:
        try:
            route = self._route(model)
        except TwofoldError as error:
            metrics.LOAD_FAILURES.labels(model).inc()
            self.failures[model] = error.message
            if isinstance(error, Transient):
                self._waiting.add(model)
            LOG.exception("model %s cannot be loaded; what answered before goes on", model)
            return False
        self.failures.pop(model, None)
        routes = (
            {**self._routes, model: route} if route.all() else {k: v for k, v in self._routes.items() if k != model}
        )
        self._routes = routes
        return True

    def _route(self, model: str) -> Route:
        before = {one.version.version: one for one in self._routes[model].all()} if model in self._routes else {}
        loaded: list[Loaded] = []
        for number, stage, weight in fold(chain(self._ledger, model, tenant=self._tenant)).table():
            version = self._ledger.get(ModelVersion, f"{model}@{number}", tenant=self._tenant)
            if version.kind is not ModelKind.SERVED:
                continue
            known = before.get(number)
            predictor = known.predictor if known else formats.load(version.format, self._blobs.get(version.artifact))
            loaded.append(Loaded(version, predictor, stage, weight))
        return Route(
            live=next((one for one in loaded if one.stage is ReleaseStage.LIVE), None),
            canaries=tuple(one for one in loaded if one.stage is ReleaseStage.CANARY),
            shadows=tuple(one for one in loaded if one.stage is ReleaseStage.SHADOW),
        )
