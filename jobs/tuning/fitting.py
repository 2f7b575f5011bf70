"""Fitting a model from its description in ``models``: one algorithm, or a mixture of several."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import numpy as np

from jobs.data.history import History
from jobs.data.weighting import Weighting, training_matrix, training_sequences
from jobs.models.arrays import Matrix
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.models.sequences import Sequences
from jobs.tuning.space import SPACES, Space

# the first argument of ``Algorithm.fit``
ModelInput: TypeAlias = "Matrix | Sequences"
# neighbours per item of a published model
NEIGHBOURS: Final = 50
# the algorithm of a mixture, described by its parameter ``parts``
MIXTURE: Final = "mixture"


def part(algorithm: str, parameters: Mapping[str, Any], weighting: Weighting, share: float) -> dict[str, Any]:
    """Return the description of one model of a mixture, an entry of ``parts``."""
    return {"algorithm": algorithm, "parameters": dict(parameters), "weighting": asdict(weighting), "share": share}


def training_input(algorithm: Algorithm, history: History, now: np.datetime64, weighting: Weighting) -> ModelInput:
    """Return what an algorithm's ``fit`` takes, with ages counted back from ``now``."""
    if algorithm.is_sequential:
        return training_sequences(history, now, weighting)
    return training_matrix(history, now, weighting)


def fit(
    history: History,
    now: np.datetime64,
    algorithm: str,
    parameters: Mapping[str, Any],
    weighting: Weighting,
    spaces: Mapping[str, Space] = SPACES,
) -> Neighbours:
    """Fit a model on a history and return its neighbours, shape (n_items, NEIGHBOURS).

    now : the time from which ages of events count back.
    algorithm : a name in ``spaces``, or MIXTURE, each part of which has its own weighting instead of ``weighting``.

    Raises Unsuitable if an algorithm does not suit a shop of this size.
    """
    if algorithm != MIXTURE:
        space = spaces[algorithm]
        return space.algorithm.fit(training_input(space.algorithm, history, now, weighting), NEIGHBOURS, **parameters)
    models = [
        (
            fit(history, now, model["algorithm"], model["parameters"], Weighting(**model["weighting"]), spaces),
            model["share"],
        )
        for model in parameters["parts"]
    ]
    return mix_models(models, NEIGHBOURS)
