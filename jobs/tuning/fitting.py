"""From what a candidate is called in ``models`` to its neighbours: one algorithm, or a mixture of several."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from jobs.data.history import History
from jobs.data.weighting import Weighting, training_matrix
from jobs.models.mixture import mixed_neighbours
from jobs.models.neighbours import Neighbours
from jobs.tuning.space import SPACES, Space

NEIGHBOURS: Final = 50
# the algorithm of a mixture; its ``parts`` say the rest
MIXTURE: Final = "mixture"


def part(algorithm: str, parameters: Mapping[str, Any], weighting: Weighting, share: float) -> dict[str, Any]:
    """Return one of a mixture's ``parts``."""
    return {"algorithm": algorithm, "parameters": dict(parameters), "weighting": asdict(weighting), "share": share}


def fit(
    history: History,
    now: np.datetime64,
    algorithm: str,
    parameters: Mapping[str, Any],
    weighting: Weighting,
    spaces: Mapping[str, Space] = SPACES,
) -> Neighbours:
    """Fit a candidate on a history; ages count back from ``now``. Raises Unsuitable.

    A mixture's ``weighting`` says nothing: each part has its own.
    """
    if algorithm != MIXTURE:
        return spaces[algorithm].fit(training_matrix(history, now, weighting), NEIGHBOURS, **parameters)
    parts = [
        (fit(history, now, one["algorithm"], one["parameters"], Weighting(**one["weighting"]), spaces), one["share"])
        for one in parameters["parts"]
    ]
    return mixed_neighbours(parts, NEIGHBOURS)
