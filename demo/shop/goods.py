"""What the shop sells: the same goods at every start, drawn like the model's training data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from ..model.world import item

COUNT = 2000
_SEED = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One article. Prices are Euro."""

    id: int
    name: str
    price: float
    discount: float
    rating: float
    popularity: float


@cache
def products() -> tuple[Product, ...]:
    """All articles; an article's id is its place.

    >>> products()[7].id
    7
    """
    random = Random(_SEED)
    return tuple(_draw(random, number) for number in range(COUNT))


def _draw(random: Random, number: int) -> Product:
    drawn = item(random)
    return Product(
        id=number,
        name=f"article {number:04}",
        price=drawn["price"],
        discount=drawn["discount"],
        rating=drawn["rating"],
        popularity=drawn["popularity"],
    )
