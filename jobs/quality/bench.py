"""What candidates are tuned on: models and formulae in, each held-out user's score out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from jobs.models.neighbours import Matrix
from jobs.models.weighting import Weighting, training_matrix
from jobs.quality.formula import Formula
from jobs.quality.metrics import hits, ndcg
from jobs.quality.past import Catalogue, Past
from jobs.quality.serving import Candidates, Server, similarities
from jobs.quality.spaces import Space
from jobs.quality.split import Split
from jobs.quality.trial import Scores

NEIGHBOURS: Final = 50
K: Final = 20
MAX_USERS: Final = 800

Pool: TypeAlias = tuple[Candidates, Scores]


@dataclass(frozen=True)
class Fold:
    """One split to tune on, with what serves its users and what they turned to; ``counts`` : shape (n_rows,)."""

    split: Split
    server: Server
    relevant: Matrix
    counts: NDArray[np.int64]


class Bench:
    """Splits to tune on: turns models and formulae into scores, user by user, and keeps what can be used again."""

    def __init__(
        self, splits: Sequence[Split], catalogue: Catalogue, *, seed: int = 0, max_users: int = MAX_USERS
    ) -> None:
        self.folds: list[Fold] = []
        for split in splits:
            users, room = split.users, max_users // len(splits)
            if len(users) > room:
                users = np.sort(np.random.default_rng(seed).choice(users, room, replace=False))
            relevant = split.relevant[users]
            past = Past(split.train, split.now, users, split.known_items, catalogue)
            self.folds.append(Fold(split, Server(past, K), relevant, np.diff(relevant.indptr).astype(np.int64)))
        self.new_only = splits[0].new_only
        self.one_weight = all(len(np.unique(split.train.weights)) < 2 for split in splits)
        self._matrices: dict[Weighting, list[Matrix]] = {}

    def fit(self, space: Space, parameters: Mapping[str, Any], weighting: Weighting) -> list[Matrix]:
        """Return the similarities that an algorithm learns before each cut."""
        if weighting not in self._matrices:
            if len(self._matrices) > 4:
                self._matrices.clear()
            self._matrices[weighting] = [
                training_matrix(fold.split.train, fold.split.now, weighting) for fold in self.folds
            ]
        return [similarities(space.fit(one, NEIGHBOURS, **parameters)) for one in self._matrices[weighting]]

    def serve(self, similar: Sequence[Matrix], formula: Formula) -> Scores:
        """Return NDCG@20 of each user of each fold."""
        return self.rank(self.candidates(similar, formula), formula)

    def candidates(self, similar: Sequence[Matrix], formula: Formula) -> list[Pool]:
        """Return the candidates of each fold, with their affinity."""
        found = []
        for fold, one in zip(self.folds, similar, strict=True):
            pairs = fold.server.candidates(one, formula)
            found.append((pairs, fold.server.affinity(pairs)))
        return found

    def rank(self, pools: Sequence[Pool], formula: Formula) -> Scores:
        """Return NDCG@20 of each user of each fold, from candidates."""
        return np.concatenate([
            ndcg(hits(fold.server.rank(pairs, formula, affinity), fold.relevant), fold.counts)
            for fold, (pairs, affinity) in zip(self.folds, pools, strict=True)
        ])  # fmt: skip

    def has_taste(self) -> bool:
        """Whether anything is known of the products that a taste could be for."""
        tastes = self.folds[-1].server.past.tastes
        return bool(tastes.categories.size or tastes.brands.size or tastes.tags.any())
