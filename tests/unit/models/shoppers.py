"""Users of four kinds, drawn with a seed."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.models.clusters import Behaviour

GROUPS: Final = 4
CATEGORIES: Final = ["Candles", "Bags", "Mugs"]
# days since the last event, days with a purchase, spent, and the place of the category that they like
KINDS: Final = (
    (1.0, 12.0, 900.0, 0),
    (200.0, 1.0, 20.0, 1),
    (2.0, 0.0, 0.0, 2),
    (150.0, 0.0, 0.0, 1),
)


def shoppers(each: int, *, sizes: tuple[int, ...] | None = None, seed: int = 7) -> tuple[Behaviour, NDArray[np.int64]]:
    """Return the behaviour of ``each`` users of every kind, or of ``sizes``, and the kind of each, mixed."""
    random = np.random.default_rng(seed)
    kind = random.permutation(np.repeat(np.arange(GROUPS), sizes or (each,) * GROUPS))
    recency, days, spent, liked = (np.array([row[column] for row in KINDS])[kind] for column in range(4))
    noise = random.uniform(0.8, 1.25, (3, len(kind)))
    shares = random.dirichlet(np.ones(len(CATEGORIES)), len(kind)) * 0.2
    shares[np.arange(len(kind)), liked.astype(int)] += 0.8
    return Behaviour(np.floor(recency * noise[0]), np.round(days * noise[1]), spent * noise[2], shares), kind
