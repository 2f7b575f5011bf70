"""Fitting from a description, as a model version stores it."""

from dataclasses import asdict

import numpy as np

from jobs.data.weighting import Weighting, training_matrix, training_sequences
from jobs.models.cosine import cosine_neighbours
from jobs.models.mixture import mix_models
from jobs.models.transitions import transitions_neighbours
from jobs.tuning.fitting import MIXTURE, NEIGHBOURS, fit
from tests.unit.offline import data


def test_a_mixture_fits_each_part_on_its_own_kind_of_input_and_weighting() -> None:
    history, now = data.shop(), np.datetime64("2026-04-01", "us")
    by_day = Weighting(half_life_days=30.0, session_gap_minutes=1440.0)
    parts = [
        {"algorithm": "transitions", "parameters": {"window": 5}, "weighting": asdict(by_day), "share": 2},
        # a version of an earlier release, which knew no sessions
        {
            "algorithm": "cosine",
            "parameters": {},
            "weighting": {"half_life_days": None, "weight_power": 0.5, "repeated": "sum"},
            "share": 1,
        },
    ]
    expected = mix_models(
        [
            (transitions_neighbours(training_sequences(history, now, by_day), NEIGHBOURS, window=5), 2),
            (cosine_neighbours(training_matrix(history, now, Weighting(repeated="sum")), NEIGHBOURS), 1),
        ],
        NEIGHBOURS,
    )
    neighbours = fit(history, now, MIXTURE, {"parts": parts}, Weighting())
    for part, expected_part in zip(neighbours.arrays, expected.arrays, strict=True):
        assert np.array_equal(part, expected_part)
