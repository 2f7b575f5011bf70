"""Mixing the tuned candidates: forward selection of what helps the best (Caruana et al., ICML 2004)."""

from collections.abc import Callable, Sequence
from typing import Final

from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.tuning.fitting import MIXTURE, NEIGHBOURS, part
from jobs.tuning.objective import Bench
from jobs.tuning.trial import Deadline, Trial, better

# candidates looked at, and how often one is taken in
MOST_CANDIDATES: Final = 5
MOST_ROUNDS: Final = 5


def mix(
    bench: Bench, trials: Sequence[Trial], deadline: Deadline, tune_formula: Callable[[Trial, Deadline], None]
) -> Trial | None:
    """Return the best mixture of candidates, sorted best first; None where no mixture is better than the best alone.

    In each round the candidate that helps most is taken in once more, so shares are small whole numbers.
    """
    able = [trial for trial in trials if trial.similar is not None][:MOST_CANDIDATES]
    if len(able) < 2:
        return None
    best = able[0]
    assert best.scores is not None
    shares = dict.fromkeys((trial.algorithm for trial in able), 0)
    shares[best.algorithm] = 1
    found = Trial(MIXTURE, {}, best.weighting, best.formula, best.scores, best.similar)
    started = deadline.clock()
    for _ in range(MOST_ROUNDS):
        chosen: str | None = None
        for one in able:
            if deadline.left <= 0:
                break
            similar = _mixed(able, shares | {one.algorithm: shares[one.algorithm] + 1})
            # whose list it is mostly may need its own formula
            for formula in dict.fromkeys((found.formula, one.formula)):
                scores = bench.serve(similar, formula)
                if better(scores, found.scores):
                    chosen = one.algorithm
                    found.scores, found.similar, found.formula = scores, similar, formula
        if chosen is None:
            break
        shares[chosen] += 1
        found.fits += 1
        tune_formula(found, deadline)
    found.seconds = deadline.clock() - started
    found.parameters = {
        "parts": [
            part(one.algorithm, one.parameters, one.weighting, shares[one.algorithm])
            for one in able
            if shares[one.algorithm]
        ]
    }
    return found if len(found.parameters["parts"]) > 1 else None


def _mixed(trials: Sequence[Trial], shares: dict[str, int]) -> list[Neighbours]:
    parts = [(trial.similar, shares[trial.algorithm]) for trial in trials if shares[trial.algorithm]]
    return [
        mix_models([(similar[fold], share) for similar, share in parts if similar is not None], NEIGHBOURS)
        for fold in range(len(parts[0][0] or ()))
    ]
