"""What tuning maximises: the quality, user by user, of a model's neighbours served by a formula on held-out days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting, split_rows
from jobs.models.arrays import Float64Array, Int64Array, Matrix
from jobs.models.neighbours import Neighbours
from jobs.offline.metrics import find_hits, ndcg
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import Split
from jobs.tuning.fitting import NEIGHBOURS, ModelInput, training_input
from jobs.tuning.space import Space
from shared.domain.formula import Formula

K: Final = 20
# Users whose answers one evaluation scores, over all folds.
USERS_MAX: Final = 1_600
# Inputs of models, matrices or sequences, that are kept: they are the largest arrays of tuning.
INPUTS_KEPT: Final = 5


@dataclass(frozen=True)
class Fold:
    """One split to tune on.

    recommender : recommends to a sample of the split's test users, the rows.
    relevant : shape (n_rows, n_items); relevant_counts : shape (n_rows,), its number of relevant items by row.
    """

    split: Split
    recommender: OfflineRecommender
    relevant: Matrix
    relevant_counts: Int64Array


class Objective:
    """Scores neighbours and formulae on the held-out users of some splits; keeps what further calls need again.

    Parameters
    ----------
    splits : at least one, all with the same ``new_only``.
    catalog : in the codes of the splits.
    seed : of the sample of users, where there are more than ``users_max``.
    compiled : whether answers come from compiled loops, which take seconds to compile.
    """

    def __init__(
        self,
        splits: Sequence[Split],
        catalog: Catalog,
        *,
        seed: int = 0,
        users_max: int = USERS_MAX,
        compiled: bool = False,
    ) -> None:
        self.folds: list[Fold] = []
        for split in splits:
            users, fold_max = split.users, users_max // len(splits)
            if len(users) > fold_max:
                users = np.sort(np.random.default_rng(seed).choice(users, fold_max, replace=False))
            relevant = split.relevant[users]
            snapshot = Snapshot(split.train, split.now, users, split.known_items, catalog)
            recommender = OfflineRecommender(snapshot, K, compiled=compiled)
            self.folds.append(Fold(split, recommender, relevant, np.diff(relevant.indptr).astype(np.int64)))
        self.new_only = splits[0].new_only
        self.has_one_weight = all(len(np.unique(split.train.weights)) < 2 for split in splits)
        self._row_counts: dict[float | None, list[int]] = {}
        self._inputs: dict[tuple[Weighting, bool], list[ModelInput]] = {}

    def fit(self, space: Space, parameters: Mapping[str, Any], weighting: Weighting) -> list[Neighbours]:
        """Return the neighbours that an algorithm learns before each cut. Raises Unsuitable."""
        key = (weighting, space.algorithm.is_sequential)
        if key not in self._inputs:
            if len(self._inputs) >= INPUTS_KEPT:
                self._inputs.clear()
            self._inputs[key] = [
                training_input(space.algorithm, fold.split.train, fold.split.now, weighting) for fold in self.folds
            ]
        return [space.algorithm.fit(data, NEIGHBOURS, **parameters) for data in self._inputs[key]]

    def estimate_seconds(self, space: Space, weighting: Weighting) -> float:
        """Return the approximate time of a fit before each cut, for all folds together."""
        return sum(
            space.algorithm.estimate_seconds(n_rows, int(fold.split.known_items.sum()))
            for fold, n_rows in zip(self.folds, self._count_rows(weighting.session_gap_minutes), strict=True)
        )

    def _count_rows(self, gap_minutes: float | None) -> list[int]:
        """Return the number of rows with events before each cut; splitting a history takes as long as sorting it."""
        if gap_minutes not in self._row_counts:
            self._row_counts[gap_minutes] = [
                len(np.unique(split_rows(fold.split.train, gap_minutes)[0])) for fold in self.folds
            ]
        return self._row_counts[gap_minutes]

    def score(self, neighbours: Sequence[Neighbours], formula: Formula) -> Float64Array:
        """Return NDCG@20 of each user of each fold, shape (n_users,).

        ``neighbours`` are by fold. ``formula`` has its repeat weight in units of their mean score.
        """
        scores = []
        for fold, fold_neighbours in zip(self.folds, neighbours, strict=True):
            fold_formula = formula.in_scores_of(fold_neighbours.mean_score)
            answers = fold.recommender.recommend(fold_neighbours, fold_formula)
            scores.append(ndcg(find_hits(answers, fold.relevant), fold.relevant_counts))
        return np.concatenate(scores)

    def has_taste(self) -> bool:
        """Return whether the catalog knows a category, brand or tag that a taste could be for."""
        tastes = self.folds[-1].recommender.snapshot.taste_profiles
        return bool(tastes.categories.size or tastes.brands.size or tastes.tags.any())
