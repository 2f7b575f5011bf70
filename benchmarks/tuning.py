"""How fast models are tuned, on a made shop: compiled loops beside interpreted ones, and ALS beside NumPy.

And how well costs are predicted: the constants of jobs/models/costs.py and jobs/tuning/costs.py are fitted to these.
"""

import statistics
import sys
import time
from collections.abc import Callable
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


def prediction_rows(case: Case, objective: Objective, budget: Budget) -> list[Row]:
    """Return the predicted beside the measured processor seconds of a fit of each algorithm, and of a scoring."""
    measured = []
    weighting = Weighting()
    for name, space in SPACES.items():
        try:
            seconds = processor_seconds(partial(objective.fit, space, space.start, weighting, budget))
        except Unsuitable:
            continue
        measured.append((f"{case.name}, {name}", objective.predict_fit(space, space.start, weighting), seconds))
    neighbours, formula = objective.fit(SPACES["cosine"], {}, weighting, budget), Formula(exclusion_policy="nothing")
    seconds = processor_seconds(partial(objective.score, neighbours, formula, budget))
    measured.append((f"{case.name}, scoring a formula", objective.predict_score(formula), seconds))
    return [
        Row(
            f"predicted cost / measured, {name}",
            predicted / seconds,
            "×",
            note=f"{predicted:.3f} s and {seconds:.3f} s",
        )
        for name, predicted, seconds in measured
    ]


def rows(bench: Bench) -> list[Row]:
    """Measure predicted costs, one trial of the serving formula, and one fit of implicit ALS."""
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
            shop = synthetic_case(name, 1)
            objective = Objective([shop.split(new_only=False)], shop.catalog, compiled=True)
            predictions += prediction_rows(shop, objective, Budget(1e9))
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
