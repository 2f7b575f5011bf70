"""What tuning maximises: the quality for each user of a model's neighbours, served by a formula, on held-out days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array, Int64Array, Matrix
from jobs.models.costs import InputShape
from jobs.models.neighbours import Neighbours
from jobs.offline.metrics import find_hits, ndcg
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import NothingToMeasure, Split
from jobs.tuning import costs
from jobs.tuning.budget import Budget
from jobs.tuning.first_views import FirstViews, first_view_factor
from jobs.tuning.fitting import NEIGHBOURS, ModelInput, training_input
from jobs.tuning.short_histories import cut_first_sessions, group_weights
from jobs.tuning.space import Space
from shared.domain.formula import (
    FIRST_VIEW_PRIOR_MAX,
    PURCHASE_WEIGHT,
    REPEATS_POLICIES,
    ExclusionPolicy,
    Formula,
    Repeats,
)

K: Final = 20
# The greatest number of users whose answers one evaluation scores, over all folds.
USERS_MAX: Final = 1_600
# The number of model inputs (matrices or sequences) kept in memory: they are the largest arrays in tuning.
INPUTS_KEPT: Final = 5
# The share of those users that are short histories (jobs/tuning/short_histories.py), if histories are weighted by
# length.
SHORT_SHARE: Final = 1 / 3
ANY_POLICY: Final[tuple[ExclusionPolicy, ...]] = ("nothing", "bought", "seen")


@dataclass(frozen=True)
class ScoredUsers:
    """Users whose answers are scored.

    recommender : recommends to these users, one per row.
    relevant : shape (n_rows, n_items).  relevant_counts : shape (n_rows,), the number of relevant items in each row.
    """

    recommender: OfflineRecommender
    relevant: Matrix
    relevant_counts: Int64Array

    def history_lengths(self) -> Int64Array:
        """Return the number of events of each user, shape (n_rows,)."""
        snapshot = self.recommender.snapshot
        counts = np.bincount(snapshot.history.users, minlength=len(snapshot.history.user_ids))
        return counts[snapshot.users].astype(np.int64)


@dataclass(frozen=True)
class Fold:
    """One split to tune on: a sample of its test users, and short histories cut from its held-out days, if any."""

    split: Split
    groups: list[ScoredUsers]


class Objective:
    """Scores neighbours and formulae on the held-out users of some splits, and caches what further calls need again.

    Parameters
    ----------
    splits : at least one, all with the same ``new_only``.
    catalog : in the codes of the splits.
    repeats : the kind of answers. With "exclude", products that a user bought before are not relevant; with "only", no
        others are. None for no particular kind: tuning decides which known products are shown.
    length_shares : the share of each group of histories by length, see jobs/tuning/short_histories.py; None if all
        users count alike and no short histories are made.
    seed : for sampling users, if there are more than ``users_max``.
    compiled : whether answers come from compiled loops, which take seconds to compile.

    Raises NothingToMeasure if no user has a relevant product.
    """

    def __init__(
        self,
        splits: Sequence[Split],
        catalog: Catalog,
        *,
        repeats: Repeats | None = None,
        length_shares: tuple[float, ...] | None = None,
        seed: int = 0,
        users_max: int = USERS_MAX,
        compiled: bool = False,
    ) -> None:
        self.new_only = splits[0].new_only
        self.repeats: Repeats = repeats or ("exclude" if self.new_only else "include")
        # answers of no particular kind may exclude whatever is never relevant
        self.policies = REPEATS_POLICIES[repeats] if repeats else ("seen",) if self.new_only else ANY_POLICY
        self.folds: list[Fold] = []
        has_short = length_shares is not None and self.repeats != "only"
        fold_max = users_max // len(splits)
        short_max = round(fold_max * SHORT_SHARE) if has_short else 0
        for split in splits:
            groups = []
            relevant = select_relevant(split, self.repeats)
            users = split.users[np.diff(relevant.indptr)[split.users] > 0]
            if len(users) > fold_max - short_max:
                users = np.sort(np.random.default_rng(seed).choice(users, fold_max - short_max, replace=False))
            if len(users):
                snapshot = Snapshot(split.train, split.now, users, split.known_items, catalog)
                groups.append(_scored_users(snapshot, relevant[users], compiled))
            short = cut_first_sessions(split.held_out, self.repeats, limit=short_max, seed=seed) if has_short else None
            if short is not None:
                snapshot = Snapshot(
                    short.history,
                    split.now,
                    np.arange(len(short.history.user_ids)),
                    split.known_items,
                    catalog,
                    is_live=True,
                    trend_history=split.train,
                )
                groups.append(_scored_users(snapshot, short.relevant, compiled))
            self.folds.append(Fold(split, groups))
        tested = [group for fold in self.folds for group in fold.groups]
        if not tested:
            raise NothingToMeasure(f"no held-out user has a relevant product for answers with repeats={self.repeats}")
        lengths = np.concatenate([group.history_lengths() for group in tested])
        self.weighs_lengths = length_shares is not None
        # visitors with few events are shown products that they do not know
        self.is_for_visitors = self.weighs_lengths and self.repeats != "only"
        self.weights = np.ones(len(lengths)) if length_shares is None else group_weights(lengths, length_shares)
        self.has_one_weight = all(len(np.unique(split.train.weights)) < 2 for split in splits)
        self.has_only_purchases = all((split.train.weights == PURCHASE_WEIGHT).all() for split in splits)
        self.compiled = compiled
        self._first_views = []
        if self.weighs_lengths:
            self._first_views = [FirstViews(group.recommender, group.history_lengths()) for group in tested]
        # lengths of the histories of each group
        self._lengths = [group.history_lengths() for group in tested]
        self._shapes: dict[tuple[float | None, bool], list[InputShape]] = {}
        self._inputs: dict[tuple[Weighting, bool], list[ModelInput]] = {}
        self._prepared: set[tuple[str, str]] = set()

    def fit(
        self, space: Space, parameters: Mapping[str, Any], weighting: Weighting, budget: Budget
    ) -> list[Neighbours]:
        """Return the neighbours that an algorithm learns before each cut, one per fold, charged to the budget.

        Raises Unsuitable, in which case nothing is charged: algorithms raise it before they compute anything.
        """
        predicted = self.predict_fit(space, parameters, weighting)
        key = (weighting, space.algorithm.is_sequential)
        if key not in self._inputs:
            if len(self._inputs) >= INPUTS_KEPT:
                self._inputs.clear()
            self._inputs[key] = [
                training_input(space.algorithm, fold.split.train, fold.split.now, weighting) for fold in self.folds
            ]
        neighbours = [space.algorithm.fit(data, NEIGHBOURS, **parameters) for data in self._inputs[key]]
        budget.charge(predicted)
        return neighbours

    def score(self, neighbours: Sequence[Neighbours], formula: Formula, budget: Budget) -> Float64Array:
        """Return NDCG@20 of each user of each fold, times the user's weight, shape (n_users,), charged to the budget.

        ``neighbours`` has one entry per fold. The repeat weight of ``formula`` is in units of their mean score. If
        histories are weighted by length, all scores are multiplied by ``first_view_factor``, which is less than 1 if
        lists are too much like a stranger's.
        """
        budget.charge(self.predict_score(formula, neighbours))
        self._prepared.add((formula.exclusion_policy, formula.trending_window))
        scores, answers = [], []
        for fold, fold_neighbours in zip(self.folds, neighbours, strict=True):
            fold_formula = formula.in_scores_of(fold_neighbours.mean_score)
            for group in fold.groups:
                answers.append(group.recommender.recommend(fold_neighbours, fold_formula))
                scores.append(ndcg(find_hits(answers[-1], group.relevant), group.relevant_counts))
        factor = first_view_factor(self._first_views, answers, formula.trending_window)
        return np.concatenate(scores) * self.weights * factor

    def find_factor(self, neighbours: Sequence[Neighbours], formula: Formula, budget: Budget) -> float:
        """Return the factor by which ``score`` reduces the scores of this formula, charged to the budget.

        Scores divided by it are NDCG@20, which is what is recorded: the factor may change from one night to the next
        without any change in quality.
        """
        if not any(views.are_bounded for views in self._first_views):
            return 1.0
        budget.charge(self.predict_score(formula, neighbours))
        answers = [
            group.recommender.recommend(model, formula.in_scores_of(model.mean_score))
            for fold, model in zip(self.folds, neighbours, strict=True)
            for group in fold.groups
        ]
        return first_view_factor(self._first_views, answers, formula.trending_window)

    def predict_fit(self, space: Space, parameters: Mapping[str, Any], weighting: Weighting) -> float:
        """Return the predicted seconds of a fit before each cut, summed over all folds."""
        shapes = self._shapes_of(weighting.session_gap_minutes, space.algorithm.is_sequential)
        seconds = sum(space.algorithm.predict_seconds(shape, parameters) for shape in shapes)
        if (weighting, space.algorithm.is_sequential) not in self._inputs:
            seconds += costs.predict_input(sum(len(fold.split.train) for fold in self.folds))
        return seconds

    def predict_score(self, formula: Formula, neighbours: Sequence[Neighbours] = ()) -> float:
        """Return the predicted seconds of scoring a formula, with a new model unless its neighbours are given."""
        is_prepared = (formula.exclusion_policy, formula.trending_window) in self._prepared
        has_candidates = [
            group.recommender.has_candidates(model, formula.in_scores_of(model.mean_score))
            for fold, model in zip(self.folds, neighbours, strict=False)
            for group in fold.groups
        ] or [False] * len(self._lengths)
        recommenders = [group.recommender for fold in self.folds for group in fold.groups]
        return sum(
            costs.predict_answers(
                lengths,
                formula.profile_events,
                compiled=self.compiled,
                is_prepared=is_prepared,
                has_candidates=is_known,
                n_new_taste_values=0 if recommender.has_cached_taste(formula) else recommender.n_taste_values,
            )
            for recommender, lengths, is_known in zip(recommenders, self._lengths, has_candidates, strict=True)
        )

    def predict_mixing(self, n_parts: int) -> float:
        """Return the predicted seconds of mixing the neighbours of ``n_parts`` models in all folds."""
        return costs.predict_mixing(n_parts, sum(len(fold.split.known_items) for fold in self.folds))

    def predict_compiling(self) -> float:
        """Return the predicted seconds of compiling the loops that scoring and fitting will run."""
        return costs.predict_compiling(self._shapes_of(None, False)) if self.compiled else 0.0

    def _shapes_of(self, gap_minutes: float | None, is_sequential: bool) -> list[InputShape]:
        """Return the cached shapes of a model's inputs, one per fold: splitting a history is as slow as sorting it."""
        key = (gap_minutes, is_sequential)
        if key not in self._shapes:
            self._shapes[key] = [costs.input_shape(fold.split.train, gap_minutes, is_sequential) for fold in self.folds]
        return self._shapes[key]

    def allows(self, formula: Formula) -> bool:
        """Return whether visitors may be served with this formula; true if histories are not weighted by length."""
        first_view_prior = formula.trending_prior * formula.prior_share(1)
        return not self.weighs_lengths or first_view_prior <= FIRST_VIEW_PRIOR_MAX

    def has_taste(self) -> bool:
        """Return whether any product of the catalog has a category, brand or tag, for which users can have a taste."""
        catalog = next(group for fold in self.folds for group in fold.groups).recommender.snapshot.catalog
        has_tags: bool = catalog.tags.nnz > 0
        return bool((catalog.categories >= 0).any() or (catalog.brands >= 0).any() or has_tags)


def _scored_users(snapshot: Snapshot, relevant: Matrix, compiled: bool) -> ScoredUsers:
    recommender = OfflineRecommender(snapshot, K, compiled=compiled)
    return ScoredUsers(recommender, relevant, np.diff(relevant.indptr).astype(np.int64))


def select_relevant(split: Split, repeats: Repeats) -> Matrix:
    """Return the split's relevant products that an answer with these repeats may contain, shape (n_users, n_items)."""
    if repeats == "include":
        return split.relevant
    train = split.train
    is_known = np.ones(len(train), np.bool_)
    if repeats == "exclude":
        is_known = train.weights == PURCHASE_WEIGHT
    known = sparse.csr_array(
        (np.ones(int(is_known.sum())), (train.users[is_known], train.items[is_known])), shape=split.relevant.shape
    )
    known.data[:] = 1
    of_known = split.relevant.multiply(known)
    relevant: Matrix = sparse.csr_array(of_known if repeats == "only" else split.relevant - of_known)
    relevant.eliminate_zeros()
    return relevant
