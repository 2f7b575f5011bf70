"""What candidates are tuned on: models and formulae in, each held-out user's score out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting, training_matrix
from jobs.models.arrays import Matrix
from jobs.models.neighbours import Neighbours
from jobs.offline.compiled import CompiledServer
from jobs.offline.metrics import hits, ndcg
from jobs.offline.recommender import Server
from jobs.offline.snapshot import Past
from jobs.offline.split import Split
from jobs.tuning.fitting import NEIGHBOURS
from jobs.tuning.space import Space
from jobs.tuning.trial import Scores
from shared.domain.formula import Formula

K: Final = 20
# users answered in one trial, all folds together
MAX_USERS: Final = 1600


@dataclass(frozen=True)
class Fold:
    """One split to tune on, with what serves its users and what they turned to; ``counts`` : shape (n_rows,)."""

    split: Split
    server: Server
    relevant: Matrix
    counts: NDArray[np.int64]


class Bench:
    """Splits to tune on: turns models and formulae into scores, user by user, and keeps what can be used again.

    ``compile`` : answer in compiled loops, which takes seconds to begin with and a fraction of the time afterwards.
    """

    def __init__(
        self,
        splits: Sequence[Split],
        catalog: Catalog,
        *,
        seed: int = 0,
        max_users: int = MAX_USERS,
        compile: bool = False,
    ) -> None:
        self.folds: list[Fold] = []
        for split in splits:
            users, room = split.users, max_users // len(splits)
            if len(users) > room:
                users = np.sort(np.random.default_rng(seed).choice(users, room, replace=False))
            relevant = split.relevant[users]
            past = Past(split.train, split.now, users, split.known_items, catalog)
            server = CompiledServer(past, K) if compile else Server(past, K)
            self.folds.append(Fold(split, server, relevant, np.diff(relevant.indptr).astype(np.int64)))
        self.new_only = splits[0].new_only
        self.one_weight = all(len(np.unique(split.train.weights)) < 2 for split in splits)
        self._matrices: dict[Weighting, list[Matrix]] = {}

    def fit(self, space: Space, parameters: Mapping[str, Any], weighting: Weighting) -> list[Neighbours]:
        """Return the neighbours that an algorithm learns before each cut."""
        if weighting not in self._matrices:
            if len(self._matrices) > 4:
                self._matrices.clear()
            self._matrices[weighting] = [
                training_matrix(fold.split.train, fold.split.now, weighting) for fold in self.folds
            ]
        return [space.algorithm.fit(one, NEIGHBOURS, **parameters) for one in self._matrices[weighting]]

    def seconds(self, space: Space) -> float:
        """Return about how long a fit before each cut takes, all together."""
        return sum(
            space.algorithm.estimate_seconds(len(np.unique(fold.split.train.users)), int(fold.split.known_items.sum()))
            for fold in self.folds
        )

    def serve(self, neighbours: Sequence[Neighbours], formula: Formula) -> Scores:
        """Return NDCG@20 of each user of each fold; ``formula`` has its repeat weight in units of the mean score."""
        return np.concatenate(
            [
                ndcg(hits(fold.server.recommend(one, formula.in_scores_of(one.mean_score)), fold.relevant), fold.counts)
                for fold, one in zip(self.folds, neighbours, strict=True)
            ]
        )

    def has_taste(self) -> bool:
        """Whether anything is known of the products that a taste could be for."""
        tastes = self.folds[-1].server.past.tastes
        return bool(tastes.categories.size or tastes.brands.size or tastes.tags.any())
