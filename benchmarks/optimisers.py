"""Aisle's search beside Optuna's: ``python -m benchmarks.optimisers --data DIR [--budget SECONDS] [NAME …]``.

Aisle tunes within the budget, and the processor seconds that it used are what Optuna gets. Optuna has the same held-out
users, spaces and starts, and around it stand the same rules: algorithms too slow for the budget are left out, the best
models are mixed, and tuning must gain more than noise. What each publishes is measured on later days.
"""

import argparse
import math
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.optuna_search import APART, SAMPLERS, ProcessorBudget, Search
from benchmarks.quality import cases
from benchmarks.shops import Case
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.offline.metrics import bootstrap_interval, score_users
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import Split
from jobs.tuning.budget import Budget
from jobs.tuning.fitting import fit
from jobs.tuning.objective import K, Objective
from jobs.tuning.selection import choose_model, compiling_pays
from jobs.tuning.space import SPACES
from jobs.tuning.splits import split_for_tuning
from jobs.tuning.starts import starting_formula
from jobs.tuning.steps import FIT_SHARE_MAX
from shared.domain.formula import Formula

AISLE: Final = "Aisle"
# The first fits, which show the algorithms that are quick enough, are no part of any search.
UNLIMITED: Final = Budget(math.inf)
SHOPS: Final = ("online_retail", "sessions", "synthetic")


@dataclass
class Outcome:
    """The results of one method on one shop, over all seeds.

    scores : NDCG@20 on the measured days, by seed, each of shape (n_users,).  notes : one for each seed.
    """

    scores: list[NDArray[np.float64]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def measure(split: Split, case: Case, neighbours: Neighbours, formula: Formula, compiled: bool) -> NDArray[np.float64]:
    """Return NDCG@20 of each user of the measured days, shape (n_users,)."""
    snapshot = Snapshot(split.train, split.now, split.users, split.known_items, case.catalog)
    answers = OfflineRecommender(snapshot, K, compiled=compiled).recommend(neighbours, formula)
    return score_users(answers, split.relevant[split.users])["ndcg@20"]


def quick_algorithms(objective: Objective, budget_s: float) -> list[str]:
    """Return the algorithms whose fit takes no more than FIT_SHARE_MAX of the budget.

    Each is fitted twice, and the second fit counts: no method pays for compiling.
    """
    quick = []
    for name, space in SPACES.items():
        try:
            neighbours = objective.fit(space, space.start, Weighting(), UNLIMITED)
            objective.score(neighbours, starting_formula(objective), UNLIMITED)
            begun = time.process_time()
            objective.fit(space, space.start, Weighting(), UNLIMITED)
        except Unsuitable:
            continue
        if time.process_time() - begun <= FIT_SHARE_MAX * budget_s:
            quick.append(name)
    return quick


def compare(case: Case, *, new_only: bool, budget_s: float, seed: int, methods: Sequence[str]) -> dict[str, Outcome]:
    """Return the outcome of Aisle's search and of each sampler on one shop with one seed."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # PartialFixedSampler and ``group`` may change in a later release
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    split = case.split(new_only=new_only)
    how: dict[str, Any] = {"holdout_days": case.days, "leave_last": case.days is None}
    compiled = compiling_pays(budget_s)
    splits = split_for_tuning(split.train, new_only=new_only, **how)[0]
    objective = Objective(splits, case.catalog, seed=seed, compiled=compiled)
    algorithms = quick_algorithms(objective, budget_s)
    begun = time.process_time()
    choice = choose_model(
        split.train,
        case.catalog,
        time_budget_s=budget_s,
        new_only=new_only,
        now=split.now,
        seed=seed,
        clock=time.process_time,
        **how,
    )
    used = time.process_time() - begun
    outcomes = {
        AISLE: Outcome(
            [measure(split, case, choice.neighbours, choice.formula, compiled)],
            [
                f"{choice.algorithm} {choice.score:.4f}; {sum(trial['fits'] for trial in choice.trials)} fits in "
                f"{used:.0f} s"
            ],
        )
    }
    for name in methods:
        search = Search(
            optuna,
            objective,
            lambda name=name: SAMPLERS[name](optuna.samplers, seed),  # type: ignore[misc]  # a default binds the name
            ProcessorBudget(used),
            algorithms,
            name in APART,
        )
        begun = time.process_time()
        best = search.run()
        seconds = time.process_time() - begun
        neighbours = fit(split.train, split.now, best.algorithm, best.parameters, best.weighting)
        formula = best.formula.in_scores_of(neighbours.mean_score)
        outcomes[name] = Outcome(
            [measure(split, case, neighbours, formula, compiled)],
            [
                f"{best.algorithm} {best.score:.4f}; {search.fits} fits, {search.formulae} formulae in "
                f"{seconds:.0f} s, {search.sampling_seconds:.0f} s of them sampling"
            ],
        )
    return outcomes


def table(shop: str, outcomes: Mapping[str, Outcome]) -> str:
    """Return the outcomes as a Markdown table, with how far Aisle is ahead, user by user."""
    lines = [
        f"| {shop} | NDCG@20, by seed | Aisle is ahead by (95 % interval) | chosen, score on the tuning days, cost |",
        "|---|---|---|---|",
    ]
    ours = np.concatenate(outcomes[AISLE].scores)
    for name, outcome in outcomes.items():
        lead = ""
        if name != AISLE:
            difference = ours - np.concatenate(outcome.scores)
            low, high = bootstrap_interval(difference)
            lead = f"{difference.mean():+.4f} ({low:+.4f} to {high:+.4f})"
        by_seed = ", ".join(f"{scores.mean():.4f}" for scores in outcome.scores)
        lines.append(f"| {name} | {by_seed} | {lead} | {' / '.join(outcome.notes)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the methods on the named shops and print a table for each. Exit code 2 without Optuna."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default {', '.join(SHOPS)}")
    parser.add_argument("--data", type=Path, metavar="DIR", help="as for benchmarks.quality")
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS", help="for Aisle's search")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--samplers", default=";".join(SAMPLERS), help="names, separated by semicolons")
    parser.add_argument("--repeats", action="store_true", help="the task with repeats, in place of new products")
    options = parser.parse_args(argv)
    try:
        import optuna  # noqa: F401  # only whether it is there
    except ImportError:
        print("Optuna is not installed: pip install -r benchmarks/requirements.txt", file=sys.stderr)
        return 2
    samplers = options.samplers.split(";")
    seeds = range(1, options.seeds + 1)
    for name, shops in cases(options.names or SHOPS, options.data, seeds):
        total: dict[str, Outcome] = {}
        for place, seed in enumerate(seeds):
            outcomes = compare(
                shops[min(place, len(shops) - 1)],
                new_only=not options.repeats,
                budget_s=options.budget,
                seed=seed,
                methods=samplers,
            )
            for method, outcome in outcomes.items():
                pooled = total.setdefault(method, Outcome())
                pooled.scores += outcome.scores
                pooled.notes += outcome.notes
                print(f"{name} {seed} {method}: {outcome.scores[0].mean():.4f} {outcome.notes[0]}", file=sys.stderr)
        print(table(name, total), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
