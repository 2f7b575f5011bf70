"""The costs of tuning other than fits (jobs/models/costs.py): processor seconds, predicted from shapes alone."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from jobs.data.history import History
from jobs.data.weighting import Weighting, split_rows, training_sequences
from jobs.models.arrays import Int64Array
from jobs.models.costs import InputShape
from jobs.models.pairs import MIN_COMPILED_WORK
from jobs.tuning.fitting import NEIGHBOURS

# Per event, for building the matrix or the sequences that models learn from.
EVENT_S: Final = 4e-7
# Answers for one group of users: a fixed cost; per user; and, unless their candidates are known, per neighbour of each
# product in a profile. The last two are for compiled loops, then for interpreted ones.
GROUP_S: Final = 1e-3
USER_S: Final = 6e-6
NEIGHBOUR_S: Final = 9e-9
INTERPRETED_USER_S: Final = 2e-4
INTERPRETED_NEIGHBOUR_S: Final = 1e-7
# Per user, the first time that answers use an exclusion policy and a trending window.
PREPARED_USER_S: Final = 4e-4
# Each value of a user's taste, computed from a profile.
TASTE_S: Final = 2e-8
# Per neighbour of each part of a mixture.
MIXED_S: Final = 3e-7
# Compiling the loops of the formula, and those of models with many pairs of items.
COMPILE_ANSWERS_S: Final = 1.8
COMPILE_MODELS_S: Final = 4.0


def input_shape(history: History, gap_minutes: float | None, is_sequential: bool) -> InputShape:
    """Return the shape of a model's input: rows are users, or sessions if ``gap_minutes`` splits users' histories."""
    n_items = len(np.unique(history.items))
    if is_sequential:
        sequences = training_sequences(history, history.times.max(), Weighting(session_gap_minutes=gap_minutes))
        return InputShape(n_items, _count(sequences.rows), sequences.rows, sequences.steps)
    rows, _ = split_rows(history, gap_minutes)
    entries = np.unique(rows.astype(np.int64) * len(history.product_ids) + history.items)
    return InputShape(n_items, _count(entries // len(history.product_ids)))


def _count(rows: Int64Array) -> Int64Array:
    """Return the number of entries of each row that has any."""
    lengths = np.bincount(rows)
    return lengths[lengths > 0].astype(np.int64)


def predict_input(n_events: int) -> float:
    """Return the predicted seconds of building a model's input."""
    return EVENT_S * n_events


def predict_answers(
    lengths: Int64Array,
    profile_events: int,
    *,
    compiled: bool,
    is_prepared: bool,
    has_candidates: bool,
    n_new_taste_values: int = 0,
) -> float:
    """Return the predicted seconds of answering a group of users whose histories have these ``lengths``.

    is_prepared : whether users have been prepared for the exclusion policy and the trending window.
    has_candidates : whether the candidates from these profiles are known, so that only their scores are mixed.
    n_new_taste_values : number of values of the users' tastes, if these have to be computed from the profiles.
    """
    n_neighbours = 0.0 if has_candidates else float(np.minimum(lengths, profile_events).sum()) * NEIGHBOURS
    user_s, neighbour_s = (USER_S, NEIGHBOUR_S) if compiled else (INTERPRETED_USER_S, INTERPRETED_NEIGHBOUR_S)
    if not is_prepared:
        user_s += PREPARED_USER_S
    return GROUP_S + user_s * len(lengths) + neighbour_s * n_neighbours + TASTE_S * n_new_taste_values


def predict_mixing(n_parts: int, n_items: int) -> float:
    """Return the predicted seconds of mixing the neighbours of ``n_parts`` models of ``n_items`` items each."""
    return MIXED_S * n_parts * n_items * NEIGHBOURS


def predict_compiling(shapes: Sequence[InputShape]) -> float:
    """Return the predicted seconds of compiling for inputs of these shapes, one per fold."""
    has_large = any(shape.n_pairs >= MIN_COMPILED_WORK for shape in shapes)
    return COMPILE_ANSWERS_S + (COMPILE_MODELS_S if has_large else 0.0)
