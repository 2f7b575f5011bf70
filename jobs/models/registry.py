"""The registry of item-to-item algorithms.

The search space of tuning (jobs/tuning/space.py), and through it the jobs ``similarity`` and ``evaluation``, and the
contract suite (tests/unit/models/test_contract.py) take their algorithms from here. A new algorithm is a module with a
function ``<name>_neighbours``, an entry below, a search space and a reference in the contract suite; the suite fails
while any of them is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from jobs.models import costs
from jobs.models.als import als_neighbours
from jobs.models.cosine import cosine_neighbours
from jobs.models.ease import ease_neighbours
from jobs.models.ease_head import ease_head_neighbours
from jobs.models.neighbours import Neighbours
from jobs.models.popularity import popularity_neighbours
from jobs.models.rp3beta import rp3beta_neighbours
from jobs.models.text_weights import bm25_neighbours, tfidf_neighbours
from jobs.models.transitions import transitions_neighbours

# ``(user_items, k, **parameters)`` or ``(sequences, k, **parameters)``; see ``Algorithm``
Fit: TypeAlias = Callable[..., Neighbours]


@dataclass(frozen=True)
class Algorithm:
    """An item-to-item algorithm, and what its caller must know before the first fit.

    Attributes
    ----------
    fit : finds each item's ``k`` nearest other items from ``user_items``, weights of shape (n_users, n_items); every
        further parameter has a default. The same input gives the same arrays and is left unchanged. Scores are in
        [0, 1], an item is never its own neighbour, and co-occurrence is the number of users who have both items. Raises
        ValueError if a parameter or a weight is out of range, Unsuitable as ``limit`` says.
    is_sequential : whether ``fit`` takes Sequences (jobs/models/sequences.py) in place of ``user_items``, because the
        algorithm learns from the order of events.
    cost : time and memory of one fit; pairs is Σ over users of their items².
    needs : the input without which the algorithm finds no neighbours, or another algorithm suits better.
    limit : when ``fit`` raises Unsuitable; empty if never.
    predict_seconds : predicts the processor seconds of a fit from the shape of the input and the parameters; see
        jobs/models/costs.py.
    """

    fit: Fit
    is_sequential: bool = False
    cost: str = ""
    needs: str = ""
    limit: str = ""
    predict_seconds: Callable[[costs.InputShape, Mapping[str, Any]], float] = costs.predict_pairs


ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "cosine": Algorithm(
        cosine_neighbours,
        cost="time: pairs; memory: a block of similarities",
        needs="items that two or more users have in common",
    ),
    "popularity": Algorithm(
        popularity_neighbours,
        cost="time: events + n_items · k; memory: n_items · k",
        needs="events; the fallback where users have few items in common",
        predict_seconds=costs.predict_popularity,
    ),
    "transitions": Algorithm(
        transitions_neighbours,
        is_sequential=True,
        cost="time: pairs of events within the window, at most 2 · pairs; memory: events + n_items · k",
        needs="users with several events each, whose times tell their order",
        predict_seconds=costs.predict_transitions,
    ),
    "rp3beta": Algorithm(
        rp3beta_neighbours,
        cost="time: pairs; memory: a block of similarities",
        needs="items that two or more users have in common",
    ),
    "bm25": Algorithm(
        bm25_neighbours,
        cost="time: pairs; memory: a block of similarities",
        needs="items that two or more users have in common",
    ),
    "tfidf": Algorithm(
        tfidf_neighbours,
        cost="time: pairs; memory: a block of similarities",
        needs="items that two or more users have in common",
    ),
    "ease": Algorithm(
        ease_neighbours,
        cost="time: min(n_users, n_items)³; memory: 4 or 8 bytes · min(n_users, n_items)²",
        needs="items that two or more users have in common",
        limit="4 bytes · min(n_users, n_items)² exceed memory_budget_bytes",
        predict_seconds=costs.predict_ease,
    ),
    "ease_head": Algorithm(
        ease_head_neighbours,
        cost="time: head³ + pairs; memory: 8 bytes · head²",
        needs="a catalog larger than EASE can invert",
        limit="no more than head items have events",
        predict_seconds=costs.predict_ease_head,
    ),
    "als": Algorithm(
        als_neighbours,
        cost="time: 12 · events · factors · iterations + pairs or n_items² · factors; "
        "memory: 4 bytes · factors · (n_users + n_items)",
        needs="users with several items each",
        predict_seconds=costs.predict_als,
    ),
}
