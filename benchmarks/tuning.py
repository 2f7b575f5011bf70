"""How fast models are tuned on generated shops: compiled loops beside interpreted ones, and ALS beside NumPy.

It also compares predicted with measured costs, to which the constants of jobs/models/costs.py and jobs/tuning/costs.py
were fitted.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from threadpoolctl import threadpool_limits

from benchmarks.frame import Bench, Row
from benchmarks.shops import Case, synthetic_case
from jobs.data.weighting import Weighting, training_matrix
from jobs.models.als import als_factors
from jobs.models.errors import Unsuitable
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.tuning.budget import Budget
from jobs.tuning.objective import Objective
from jobs.tuning.space import SPACES
from shared.domain.formula import Formula

PREDICTED_SHOPS = ("view-heavy", "sparse", "dense")
SHOP, K, USERS, RUNS = "view-heavy", 20, 800, 5


def median_seconds(run: Callable[[], object]) -> float:
    """Return the median time of RUNS runs, after a first run that is not counted."""
    run()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def processor_seconds(run: Callable[[], object]) -> float:
    """Return the least processor time of two runs, after a first run that is not counted: other work only adds."""
    run()
    times = []
    for _ in range(2):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return min(times)


def prediction_rows(case: Case) -> list[Row]:
    """Return predicted against measured processor seconds: a fit of each algorithm, and scorings of a formula."""
    budget, weighting = Budget(math.inf), Weighting()
    objective, interpreted = (
        Objective([case.split(new_only=False)], case.catalog, compiled=compiled) for compiled in (True, False)
    )
    costs = []
    for name, space in SPACES.items():
        try:
            measured = processor_seconds(partial(objective.fit, space, space.start, weighting, budget))
        except Unsuitable:
            continue
        # once the model's input is prepared, as it was for the runs that count
        costs.append((name, objective.predict_fit(space, space.start, weighting), measured))
    neighbours = objective.fit(SPACES["cosine"], {}, weighting, budget)
    formula = Formula(exclusion_policy="nothing")
    for loops, scorer in (("compiled", objective), ("interpreted", interpreted)):

        def score_new_model(scorer: Objective = scorer) -> None:
            # candidates are kept for a model, and a copy is another model
            scorer.score([replace(fold) for fold in neighbours], formula, budget)

        measured = processor_seconds(score_new_model)
        costs.append((f"scoring a new model, {loops}", scorer.predict_score(formula), measured))
        measured = processor_seconds(partial(scorer.score, neighbours, formula, budget))
        costs.append((f"scoring it again, {loops}", scorer.predict_score(formula, neighbours), measured))
    return [
        Row(
            f"predicted cost / measured, {case.name}, {name}",
            predicted / measured,
            "×",
            note=f"{predicted:.3f} s and {measured:.3f} s",
        )
        for name, predicted, measured in costs
    ]


def rows(bench: Bench) -> list[Row]:
    """Measure how well costs are predicted, a scoring of the serving formula, and a fit of implicit ALS."""
    bench.say(f"tuning: the {SHOP} shop of benchmarks/shops.py")
    case = synthetic_case(SHOP, 1)
    split = case.split(new_only=False)
    snapshot = Snapshot(split.train, split.now, split.users[:USERS], split.known_items, case.catalog)
    matrix = training_matrix(split.train, split.now, Weighting())
    neighbours = SPACES["cosine"].algorithm.fit(matrix, 50, min_co_occurrence=2)
    formula = Formula(trending_prior=0.3, exclusion_policy="nothing", repeat_weight=0.1)

    def trial_seconds(compiled: bool) -> float:
        recommender = OfflineRecommender(snapshot, K, compiled=compiled)
        return median_seconds(lambda: recommender.recommend(neighbours, formula))

    def als_seconds(compiled_from: int) -> float:
        return median_seconds(
            lambda: als_factors(
                matrix,
                factors=64,
                regularisation=1.0,
                confidence=5.0,
                iterations=5,
                seed=0,
                compiled_from=compiled_from,
            )
        )

    predictions = []
    with threadpool_limits(1, "blas"):
        for name in PREDICTED_SHOPS:
            predictions += prediction_rows(synthetic_case(name, 1))
    return [
        *predictions,
        _row(
            "one trial of the serving formula, against interpreted loops",
            trial_seconds(False),
            trial_seconds(True),
            f"{USERS} users",
        ),
        _row("implicit ALS, against NumPy", als_seconds(sys.maxsize), als_seconds(0), "64 factors, 5 iterations"),
    ]


def _row(name: str, slow: float, fast: float, work: str) -> Row:
    return Row(name, slow / fast, "×", note=f"{work}; {slow * 1000:.0f} ms and {fast * 1000:.0f} ms")
