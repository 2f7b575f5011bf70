"""Whether two models gain by profiles of their own: ``python -m benchmarks.late_fusion --data DIR NAME …``.

What is served sums one profile over one list of neighbours. Here a second list is summed beside it (late fusion), over
a profile that decays in its own way: long-term taste from one model, this minute's intent from the other. Both lists
and profiles are tuned on the days before the cut. A second row tunes the parameters of the single profile as long, so
that the gain of further tuning is not taken for one of the second profile.
docs/decisions/0036-late-fusion.md has the result.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.shops import REAL_SHOPS, SYNTHETIC_SHOPS, Case, real_case, synthetic_case
from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array, Int64Array, Matrix
from jobs.models.neighbours import Neighbours
from jobs.offline.metrics import bootstrap_interval, find_hits, ndcg
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.tuning.fitting import fit
from jobs.tuning.objective import K, Objective, ScoredUsers
from jobs.tuning.selection import choose_model
from jobs.tuning.space import FORMULA
from jobs.tuning.splits import split_for_tuning
from jobs.tuning.trial import is_better
from shared.domain.formula import Formula

# A shop of long histories, as of a service that shows films: 160 events of each user, in visits, of which every third
# event goes on from the one before.
FILMS: Final[Mapping[str, Any]] = {
    "users": 1_500,
    "products": 1_500,
    "categories": 20,
    "events": 240_000,
    "skew": 0.7,
    # every event is relevant
    "view": 0.0,
    "session_events": 6.0,
    "follow": 0.35,
}
# Parameters that each list's profile has of its own, and those that the lists have in common.
OF_PROFILES: Final = ("profile_events", "rank_decay", "half_life_days", "weight_power", "frequency_power")
IN_COMMON: Final = ("blend", "trending_prior", "trending_window")
# Shares of the second list beside 1 of the first.
SHARES: Final = (0.1, 0.3, 0.6, 1.0, 2.0)
# Models that may be the second list, best first, and pairs of lists that are tuned.
SECOND_MAX: Final = 3
PAIRS_MAX: Final = 2
ROUNDS: Final = 2


@dataclass(frozen=True, eq=False)
class Model:
    """A tuned model by fold of the objective, in the words of ``Trial.summary``."""

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    neighbours: list[Neighbours]


@dataclass(frozen=True)
class Layer:
    """A model, the formula whose profile parameters it has, and its share beside other layers."""

    model: Model
    formula: Formula
    share: float


@dataclass(frozen=True)
class LayeredSnapshot(Snapshot):
    """A snapshot whose profiles have the products once for each layer: product j of layer l is column l · n_items + j.

    The loops of jobs/offline/kernels.py then sum stacked neighbours as if they were those of more products.
    """

    layers: list[tuple[Formula, float]] = field(default_factory=list)

    def profiles(self, formula: Formula) -> Matrix:
        """Return the weights of all layers side by side, shape (n_rows, n_layers · n_items)."""
        assert self.layers, f"no layers for {formula}"
        profiles = [super(LayeredSnapshot, self).profiles(layer) * factor for layer, factor in self.layers]
        return sparse.csr_array(sparse.hstack(profiles, format="csr"))


class LayeredUsers:
    """Users who are recommended to from several layers."""

    def __init__(self, snapshot: Snapshot, relevant: Matrix, *, compiled: bool = True) -> None:
        values = {name: getattr(snapshot, name) for name in Snapshot.__dataclass_fields__}
        self._snapshot = LayeredSnapshot(**values, layers=[])
        self._recommender = OfflineRecommender(self._snapshot, K, compiled=compiled)
        self._relevant = relevant
        self._relevant_counts: Int64Array = np.diff(relevant.indptr).astype(np.int64)

    def score(self, layers: Sequence[tuple[Neighbours, Formula, float]], formula: Formula) -> Float64Array:
        """Return NDCG@20 by user, shape (n_rows,)."""
        self._snapshot.layers[:] = [
            (layer, share / (neighbours.mean_score or 1.0)) for neighbours, layer, share in layers
        ]
        stacked = Neighbours(
            np.concatenate([neighbours.indices for neighbours, _, _ in layers]),
            np.concatenate([neighbours.scores for neighbours, _, _ in layers]),
            np.concatenate([neighbours.co_occurrence for neighbours, _, _ in layers]),
        )
        # a product counts as known once for each layer
        evidence = None if formula.prior_evidence is None else formula.prior_evidence * len(layers)
        answers = self._recommender.recommend(stacked, formula.with_(repeat_weight=0.0, prior_evidence=evidence))
        return ndcg(find_hits(answers, self._relevant), self._relevant_counts)


class Search:
    """Scores and tunes layers on the folds of an objective."""

    def __init__(self, objective: Objective) -> None:
        self._folds = [[_layered(group) for group in fold.groups] for fold in objective.folds]

    def score(self, layers: Sequence[Layer], formula: Formula) -> Float64Array:
        """Return NDCG@20 of each user of each fold, shape (n_users,)."""
        return np.concatenate(
            [
                group.score([(layer.model.neighbours[fold], layer.formula, layer.share) for layer in layers], formula)
                for fold, groups in enumerate(self._folds)
                for group in groups
            ]
        )

    def tune(self, layers: Sequence[Layer], formula: Formula) -> tuple[list[Layer], Formula, Float64Array]:
        """Return better layers and a better formula, with their scores: one parameter after the other."""
        best, scores = list(layers), self.score(layers, formula)
        for _ in range(ROUNDS):
            before = scores
            for place, name, value in _steps(len(layers)):
                changed, changed_formula = list(best), formula
                if place is None:
                    changed_formula = formula.with_(**{name: value})
                elif name == "share":
                    changed[place] = replace(best[place], share=value)
                else:
                    changed[place] = replace(best[place], formula=best[place].formula.with_(**{name: value}))
                if (changed, changed_formula) == (best, formula):
                    continue
                new = self.score(changed, changed_formula)
                if is_better(new, scores):
                    best, formula, scores = changed, changed_formula, new
            if scores is before:
                break
        return best, formula, scores


def _layered(group: ScoredUsers) -> LayeredUsers:
    return LayeredUsers(group.recommender.snapshot, group.relevant)


def _steps(n_layers: int) -> Iterator[tuple[int | None, str, Any]]:
    """Yield a layer's place, None for what the layers have in common, with a parameter and a value to try."""
    for place in range(n_layers):
        for share in SHARES if place > 0 else ():
            yield place, "share", share
        for name in OF_PROFILES:
            for value in FORMULA[name]:
                yield place, name, value
    for name in IN_COMMON:
        for value in FORMULA[name]:
            yield None, name, value


@dataclass(frozen=True)
class Result:
    """NDCG@20 by user of what is served, of two layers, and of one layer that was tuned as long; shape (n_users,)."""

    shop: str
    served: NDArray[np.float64]
    fused: NDArray[np.float64]
    tuned: NDArray[np.float64]
    layers: list[Layer]

    def lines(self) -> list[str]:
        """Return the rows of a Markdown table."""
        lines = []
        for name, scores in (("late fusion", self.fused), ("one profile, tuned as long", self.tuned)):
            gain = scores - self.served
            low, high = bootstrap_interval(gain)
            lines.append(
                f"| {self.shop} | {len(gain)} | {self.served.mean():.4f} | {name} | {scores.mean():.4f} | "
                f"{gain.mean():+.4f} ({low:+.4f} to {high:+.4f}) |"
            )
        return lines


def measure(case: Case, budget_s: float) -> Result:
    """Tune with the budget, then add a layer, and score the held-out users of a shop."""
    split = case.split(new_only=True)
    leave_last = case.days is None
    choice = choose_model(
        split.train,
        case.catalog,
        time_budget_s=budget_s,
        new_only=True,
        now=split.now,
        holdout_days=case.days,
        leave_last=leave_last,
        clock=time.process_time,
    )
    inner, _days = split_for_tuning(split.train, new_only=True, holdout_days=case.days, leave_last=leave_last)
    objective = Objective(inner, case.catalog, compiled=True)
    search = Search(objective)
    models = [
        Model(
            trial["algorithm"],
            trial["parameters"],
            weighting := Weighting(**trial["weighting"]),
            Formula.from_parameters(trial["serving"]),
            [
                fit(fold.split.train, fold.split.now, trial["algorithm"], trial["parameters"], weighting)
                for fold in objective.folds
            ],
        )
        for trial in choice.trials
        if trial["ndcg@20"] is not None
    ]
    served = models[0]
    singles = [model for model in models if "parts" not in model.parameters]
    pairs = [
        [Layer(first, first.formula, 1.0), Layer(second, formula, share)]
        for first in (served, *(model for model in singles[:1] if model is not served))
        for second in singles[:SECOND_MAX]
        for formula in (second.formula, second.formula.with_(rank_decay=0.5, profile_events=20))
        for share in (0.3, 1.0)
    ]
    pairs.sort(key=lambda layers: -float(search.score(layers, layers[0].model.formula).mean()))
    fused = max(
        (search.tune(layers, layers[0].model.formula) for layers in pairs[:PAIRS_MAX]),
        key=lambda tuned: float(tuned[2].mean()),
    )
    single = search.tune([Layer(served, served.formula, 1.0)], served.formula)
    snapshot = Snapshot(split.train, split.now, split.users, split.known_items, case.catalog)
    held_out = LayeredUsers(snapshot, split.relevant[split.users])

    def score(layers: Sequence[Layer], formula: Formula) -> Float64Array:
        fitted = [
            fit(split.train, split.now, layer.model.algorithm, layer.model.parameters, layer.model.weighting)
            for layer in layers
        ]
        return held_out.score(
            [(neighbours, layer.formula, layer.share) for neighbours, layer in zip(fitted, layers, strict=True)],
            formula,
        )

    return Result(
        case.name,
        score([Layer(served, served.formula, 1.0)], served.formula),
        score(fused[0], fused[1]),
        score(single[0], single[1]),
        fused[0],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and the layers of each shop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.late_fusion", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help=", ".join(("films", *REAL_SHOPS, *SYNTHETIC_SHOPS)))
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS", help="processor time to tune before")
    options = parser.parse_args(argv)
    print("| shop | users | served | | NDCG@20 | ahead of served by (95 % interval) |", "|---" * 6 + "|", sep="\n")
    for name in options.names:
        if name == "films":
            case = synthetic_case(name, 1, FILMS)
        elif name in SYNTHETIC_SHOPS:
            case = synthetic_case(name, 1)
        elif options.data is not None:
            case = real_case(name, options.data)
        else:
            parser.error(f"{name} needs --data")
        result = measure(case, options.budget)
        print(*result.lines(), sep="\n", flush=True)
        for layer in result.layers:
            profile = {name: getattr(layer.formula, name) for name in OF_PROFILES}
            print(f"{name}: {layer.model.algorithm}, share {layer.share}, {profile}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
