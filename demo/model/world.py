"""What shoppers and items look like: one source for the training data and for the demo's live load.

Both draw from `item`, so that a healthy shop shows no drift, and a fault that changes what is
drawn shows one. Standard library only: the shop's small processes import it too.

`python -m demo.model.world FILE` writes the training data.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from random import Random

INPUTS = ("price", "discount", "rating", "popularity", "basket_value", "hour")
ROWS = 6000
SEED = 20
DISCOUNTED = 0.4  # share of items


def item(random: Random) -> dict[str, float]:
    """Draw one recommended item in front of one shopper.

    Returns:
        price: Euro, around 25, few above 100.
        discount: Share of the price, 0 for most items.
        rating: Stars, 1 to 5.
        popularity: 0..1, most items hardly known.
        basket_value: Euro already in the basket.
        hour: The shopper's local hour of day, 0..24; shoppers live all over the world.
    """
    discounted = random.random() < DISCOUNTED
    return {
        "price": round(random.lognormvariate(3.2, 0.6), 2),
        "discount": round(random.uniform(0.05, 0.4), 2) if discounted else 0.0,
        "rating": round(1 + 4 * random.betavariate(6, 2), 1),
        "popularity": round(random.betavariate(1.2, 4), 3),
        "basket_value": round(random.lognormvariate(3.6, 0.7), 2),
        "hour": round(random.gauss(15, 5) % 24, 1),
    }


def click_chance(drawn: dict[str, float]) -> float:
    """The true chance of a click; what the model has to learn.

    >>> cheap = dict(price=10, discount=0.3, rating=4.8, popularity=0.6, basket_value=60, hour=20)
    >>> click_chance(cheap) > click_chance(cheap | {"price": 200, "discount": 0.0})
    True
    """
    logit = (
        -1.6
        - 1.1 * (math.log(drawn["price"]) - 3.2)
        + 4.0 * drawn["discount"]
        + 0.9 * (drawn["rating"] - 4)
        + 2.5 * drawn["popularity"]
        + 0.4 * (math.log(drawn["basket_value"]) - 3.6)
        + 0.5 * math.sin((drawn["hour"] - 14) * math.pi / 12)
    )
    return 1 / (1 + math.exp(-logit))


def write(path: Path, rows: int = ROWS, seed: int = SEED) -> None:
    """Write the training data: the inputs and whether the item was clicked. Same seed, same bytes."""
    random = Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*INPUTS, "clicked"])
        for _ in range(rows):
            drawn = item(random)
            out.writerow([*(drawn[name] for name in INPUTS), int(random.random() < click_chance(drawn))])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
