"""How each algorithm that Spark can train turns entries into scores: its module in jobs/models, divided into steps.

A step sees the rows of some users, or all entries of some items. What it needs from other rows or items is computed
before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from jobs.models.arrays import Float64Array, Int64Array
from jobs.models.blocks import scale_scores
from jobs.models.cosine import clip_scores
from jobs.models.neighbours import Neighbours
from jobs.models.rp3beta import item_factors, walk_shares
from jobs.models.text_weights import length_norms, saturate, user_idf
from jobs.models.transitions import popularity_factors

# each item's factors as the source and as the target of a pair, each of shape (n_items,)
Factors: TypeAlias = tuple[Float64Array, Float64Array]


class Recipe:
    """An algorithm whose scores are source_i · target_j · Σ over rows, where the sum is symmetric in i and j.

    Attributes
    ----------
    finish : scales or clips all scores to [0, 1], in place.
    is_cosine : whether each item's weights are divided by their norm.
    """

    finish: Callable[[Neighbours], Neighbours] = staticmethod(scale_scores)
    is_cosine = False

    def by_row(self, weights: Float64Array, counts: Int64Array, n_items: int) -> tuple[Float64Array, Float64Array]:
        """Return the weights of entries and a factor for each, computed from their rows; both of shape (n_entries,).

        weights : shape (n_entries,), sorted by row.  counts : number of entries of each row, shape (n_rows,).
        """
        del counts, n_items
        return weights, np.ones_like(weights)

    def by_item(
        self, weights: Float64Array, factors: Float64Array, places: Int64Array, item_values: Float64Array
    ) -> Float64Array:
        """Return the final weights of entries, before they are divided by their norm.

        weights, factors : as returned by ``by_row``.  places : the position of each entry's item in ``item_values``.
        """
        del places, item_values
        return weights * factors

    def item_values(self, sums: Float64Array) -> Float64Array:
        """Return the value that ``by_item`` needs for each item, computed from its sum of weights in the matrix."""
        return sums

    def factors(self, sums: Float64Array) -> Factors | None:
        """Return the items' factors, computed from their sums of weights in the matrix; None if all are 1."""
        del sums
        return None


@dataclass(frozen=True)
class Cosine(Recipe):
    """``cosine_neighbours``."""

    finish = staticmethod(clip_scores)
    is_cosine = True

    def by_item(
        self, weights: Float64Array, factors: Float64Array, places: Int64Array, item_values: Float64Array
    ) -> Float64Array:
        """Return the weights unchanged."""
        del factors, places, item_values
        return weights


@dataclass(frozen=True)
class Tfidf(Recipe):
    """``tfidf_neighbours``."""

    finish = staticmethod(clip_scores)
    is_cosine = True

    def by_row(self, weights: Float64Array, counts: Int64Array, n_items: int) -> tuple[Float64Array, Float64Array]:
        """Return the weights' square roots, and the inverse document frequencies."""
        return np.sqrt(weights), np.repeat(user_idf(counts, n_items), counts)


@dataclass(frozen=True)
class Bm25(Recipe):
    """``bm25_neighbours``."""

    k1: float = 100.0
    b: float = 0.5

    finish = staticmethod(clip_scores)
    is_cosine = True

    def by_row(self, weights: Float64Array, counts: Int64Array, n_items: int) -> tuple[Float64Array, Float64Array]:
        """Return the weights, and the inverse document frequencies."""
        return weights, np.repeat(user_idf(counts, n_items), counts)

    def item_values(self, sums: Float64Array) -> Float64Array:
        """Return the BM25 length norm of each item."""
        return length_norms(sums, self.k1, self.b)

    def by_item(
        self, weights: Float64Array, factors: Float64Array, places: Int64Array, item_values: Float64Array
    ) -> Float64Array:
        """Return the saturated weights times the inverse document frequencies."""
        return saturate(weights, item_values[places], self.k1) * factors


@dataclass(frozen=True)
class Rp3beta(Recipe):
    """``rp3beta_neighbours``."""

    alpha: float = 1.0
    beta: float = 0.4

    def by_row(self, weights: Float64Array, counts: Int64Array, n_items: int) -> tuple[Float64Array, Float64Array]:
        """Return the weights, and each entry's factor in the walk."""
        del n_items
        rows = np.repeat(np.arange(len(counts)), counts)
        user_sums = np.bincount(rows, weights, len(counts))
        return weights, walk_shares(weights, np.repeat(user_sums, counts), self.alpha)

    def by_item(
        self, weights: Float64Array, factors: Float64Array, places: Int64Array, item_values: Float64Array
    ) -> Float64Array:
        """Return each entry's factor in the walk."""
        del weights, places, item_values
        return factors

    def factors(self, sums: Float64Array) -> Factors:
        """Return each item's factors as the start and as the end of the walk."""
        return item_factors(sums, self.alpha, self.beta)


@dataclass(frozen=True)
class Transitions:
    """``transitions_neighbours``, whose entries are events in order of time."""

    window: int = 10
    distance_power: float = 0.5
    gap_half_life_hours: float | None = None
    backward: float = 0.3
    source_power: float = 0.5
    target_power: float = 0.2

    finish = staticmethod(scale_scores)

    def factors(self, sums: Float64Array) -> Factors:
        """Return each item's factors as the start and as the end of a transition."""
        return popularity_factors(sums, self.source_power, self.target_power)


# By name in the registry. EASE and ALS are missing because they solve for all items at once; popularity, because it
# needs only one machine.
RECIPES: Final[Mapping[str, type[Recipe] | type[Transitions]]] = {
    "cosine": Cosine,
    "transitions": Transitions,
    "rp3beta": Rp3beta,
    "bm25": Bm25,
    "tfidf": Tfidf,
}


@dataclass(frozen=True)
class Training:
    """One model to train: a recipe, and the parameters that all recipes have."""

    recipe: Recipe | Transitions
    min_co_occurrence: int


def training_of(algorithm: str, parameters: Mapping[str, Any]) -> Training:
    """Return how Spark trains an algorithm with these parameters of its ``fit``. Raises KeyError if it cannot."""
    own = {name: value for name, value in parameters.items() if name != "min_co_occurrence"}
    return Training(RECIPES[algorithm](**own), int(parameters.get("min_co_occurrence", 2)))
