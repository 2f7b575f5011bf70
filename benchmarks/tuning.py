"""How fast models are tuned: compiled loops beside the same in NumPy, on a made shop."""

import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.frame import Bench, Row
from benchmarks.shops import synthetic_case
from jobs.data.weighting import Weighting, training_matrix
from jobs.models.als import als_factors
from jobs.offline.compiled import CompiledServer
from jobs.offline.recommender import Server
from jobs.offline.snapshot import Past
from jobs.offline.split import last_days
from jobs.tuning.space import SPACES
from shared.domain.formula import Formula

SHOP, K, USERS, RUNS = "view-heavy", 20, 800, 5


def seconds(run: Callable[[], object]) -> float:
    """Return the median of some runs after one that does not count."""
    run()
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def rows(bench: Bench) -> list[Row]:
    """Measure one trial of the serving formula, and one fit of implicit ALS."""
    bench.say(f"tuning: the {SHOP} shop of benchmarks/shops.py")
    case = synthetic_case(SHOP, 1)
    split = last_days(case.history, case.days, new_only=False)
    past = Past(split.train, split.now, split.users[:USERS], split.known_items, case.catalog)
    matrix = training_matrix(split.train, split.now, Weighting())
    neighbours = SPACES["cosine"].fit(matrix, 50, min_co_occurrence=2)
    formula = Formula(trending_prior=0.3, returning="all", repeat_weight=0.1)
    plain, compiled = Server(past, K), CompiledServer(past, K)
    slow = seconds(lambda: plain.recommend(neighbours, formula))
    fast = seconds(lambda: compiled.recommend(neighbours, formula))

    def factors(compiled_from: int) -> object:
        return als_factors(
            matrix, factors=64, regularisation=1.0, confidence=5.0, iterations=5, seed=0, compiled_from=compiled_from
        )

    fast_als, slow_als = seconds(lambda: factors(0)), seconds(lambda: factors(sys.maxsize))
    return [
        _row("one trial of the serving formula, against NumPy", slow, fast, f"{USERS} users"),
        _row("implicit ALS, against NumPy", slow_als, fast_als, "64 factors, 5 turns"),
    ]


def _row(name: str, slow: float, fast: float, what: str) -> Row:
    return Row(name, slow / fast, "×", note=f"{what}; {slow * 1000:.0f} ms and {fast * 1000:.0f} ms")
