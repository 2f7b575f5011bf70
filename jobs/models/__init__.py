"""Algorithms: arrays in, arrays out. ``ALGORITHMS`` is what the similarity job and the contract suite know."""

from collections.abc import Mapping
from typing import Final, Protocol

from jobs.models.als import als_neighbours
from jobs.models.cosine import cosine_neighbours
from jobs.models.ease import ease_neighbours
from jobs.models.neighbours import Matrix, Neighbours
from jobs.models.popularity import popularity_neighbours
from jobs.models.rp3beta import rp3beta_neighbours
from jobs.models.text_weights import bm25_neighbours, tfidf_neighbours


class ItemToItem(Protocol):
    """Finds each item's ``k`` nearest other items from the interaction weights of users (rows) and items (columns).

    Deterministic: the same input gives the same arrays. Scores in [0, 1], never the item itself, and co-occurrence is
    the number of users who have both.
    """

    def __call__(self, user_items: Matrix, k: int) -> Neighbours: ...


ALGORITHMS: Final[Mapping[str, ItemToItem]] = {
    "cosine": cosine_neighbours,
    "tfidf": tfidf_neighbours,
    "bm25": bm25_neighbours,
    "rp3beta": rp3beta_neighbours,
    "ease": ease_neighbours,
    "als": als_neighbours,
    "popularity": popularity_neighbours,
}

__all__ = ["ALGORITHMS", "ItemToItem", "Matrix", "Neighbours"]
