"""The search space: the algorithms to try, their parameters' values in order, and the starting point of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.models.ease_head import FIRST_HEAD
from jobs.models.registry import ALGORITHMS, Algorithm
from shared.domain.formula import PROFILE_EVENTS_MAX, TASTE_SOURCES, TRENDING_WINDOWS

Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Space:
    """The search space of one algorithm.

    Attributes
    ----------
    algorithm : the algorithm to tune.
    values : the values to try for each parameter, in order: the search moves along them one step at a time.
    start : the parameters to try first.
    far_start : parameters far from ``start``, from which leading algorithms are tuned as well; empty if single steps
        find the best values from anywhere.
    starts_by_user : whether the first fit has users as rows, even if sessions suit the algorithms before it. For models
        of a user's whole taste, of which a session shows too little.
    """

    algorithm: Algorithm
    values: Values = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)
    far_start: Mapping[str, Any] = field(default_factory=dict)
    starts_by_user: bool = False


CO_OCCURRENCE: Final = (1, 2, 3, 5)
EASE_REGULARISATION: Final = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

# By name in the registry, in the order in which they are first tried: the cheap and safe ones first, so that a short
# budget has a result.
SPACES: Final[Mapping[str, Space]] = {
    "cosine": Space(ALGORITHMS["cosine"], {"min_co_occurrence": CO_OCCURRENCE}, {"min_co_occurrence": 2}),
    "popularity": Space(ALGORITHMS["popularity"]),
    "transitions": Space(
        ALGORITHMS["transitions"],
        {
            "gap_half_life_hours": (None, 720.0, 168.0, 24.0, 1.0, 0.25, 0.08),
            "backward": (0.0, 0.3, 0.6, 1.0),
            "target_power": (0.0, 0.1, 0.2, 0.4, 0.6),
            "source_power": (0.0, 0.5, 1.0),
            "distance_power": (0.0, 0.5, 1.0),
            "window": (1, 2, 5, 10, 30),
            "min_co_occurrence": CO_OCCURRENCE,
        },
        {
            "gap_half_life_hours": 24.0,
            "backward": 0.6,
            "target_power": 0.2,
            "source_power": 1.0,
            "distance_power": 0.5,
            "window": 10,
            "min_co_occurrence": 1,
        },
        # the far start: only what follows at once
        {
            "gap_half_life_hours": 1.0,
            "backward": 0.0,
            "target_power": 0.0,
            "source_power": 0.5,
            "distance_power": 1.0,
            "window": 2,
            "min_co_occurrence": 1,
        },
    ),
    "rp3beta": Space(
        ALGORITHMS["rp3beta"],
        {
            "alpha": (0.4, 0.6, 0.8, 1.0, 1.3),
            "beta": (0.0, 0.2, 0.4, 0.6, 0.8),
            "min_co_occurrence": CO_OCCURRENCE,
        },
        {"alpha": 1.0, "beta": 0.2, "min_co_occurrence": 2},
        {"alpha": 0.6, "beta": 0.6, "min_co_occurrence": 1},
    ),
    "bm25": Space(
        ALGORITHMS["bm25"],
        {"k1": (0.5, 2.0, 10.0, 100.0), "b": (0.0, 0.25, 0.5, 0.75, 1.0), "min_co_occurrence": CO_OCCURRENCE},
        {"k1": 2.0, "b": 0.5, "min_co_occurrence": 2},
        {"k1": 100.0, "b": 1.0, "min_co_occurrence": 1},
    ),
    "tfidf": Space(ALGORITHMS["tfidf"], {"min_co_occurrence": CO_OCCURRENCE}, {"min_co_occurrence": 2}),
    "ease": Space(
        ALGORITHMS["ease"],
        {"regularisation": EASE_REGULARISATION, "min_co_occurrence": CO_OCCURRENCE},
        {"regularisation": 3.0, "min_co_occurrence": 2},
        {"regularisation": 30.0, "min_co_occurrence": 1},
        starts_by_user=True,
    ),
    "ease_head": Space(
        ALGORITHMS["ease_head"],
        {
            "head": (2_000, 4_000, 8_000),
            "regularisation": EASE_REGULARISATION,
            "min_co_occurrence": CO_OCCURRENCE,
        },
        {"head": FIRST_HEAD, "regularisation": 3.0, "min_co_occurrence": 2},
        {"head": FIRST_HEAD, "regularisation": 30.0, "min_co_occurrence": 1},
        starts_by_user=True,
    ),
    "als": Space(
        ALGORITHMS["als"],
        {
            "factors": (32, 64, 128),
            "regularisation": (0.1, 1.0, 10.0, 100.0),
            "confidence": (1.0, 5.0, 20.0, 80.0),
            "min_co_occurrence": CO_OCCURRENCE,
        },
        {"factors": 64, "regularisation": 1.0, "confidence": 5.0, "min_co_occurrence": 2},
        {"factors": 128, "regularisation": 100.0, "confidence": 20.0, "min_co_occurrence": 1},
        starts_by_user=True,
    ),
}

# Parameters of the weighting, see jobs/data/weighting.py.
WEIGHTING: Final[Values] = {
    "half_life_days": (None, 120.0, 60.0, 30.0, 15.0),
    "session_gap_minutes": (None, 1440.0, 30.0),
    "weight_power": (0.0, 0.5, 1.0),
    "repeated": ("once", "log", "sum"),
}
# Parameters of the weighting that have no effect on models of sequences.
MATRIX_ONLY: Final = frozenset({"repeated"})

# Values with which a visitor's third view counts clearly more than the first; other values are only for histories that
# are not weighted by length.
PRIOR_EVIDENCES: Final = (1.0, 0.3, 0.1)

# Tuned only for visitors as well; at 2 no popularity is left in the neighbours of a single product.
POPULARITY_DISCOUNTS: Final = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0)
# The least value is a promise to visitors: where everybody buys the same staples, a list of staples would score best,
# whatever was viewed.
SHORT_PROFILE_FITS: Final = (0.5, 0.7, 0.8)

# Parameters of the serving formula, see shared/domain/formula.py, in the order in which the search varies them. Repeat
# weights are in units of the neighbours' mean score. Trending priors include values at which popularity decides, for
# shops with little history. Before all of these the search varies the exclusion policy: the objective says which suit.
FORMULA: Final[Values] = {
    "repeat_weight": (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    "frequency_power": (0.0, 0.5, 1.0),
    "blend": (0.0, 0.1, 0.3, 0.6, 0.8, 0.9, 1.0),
    "trending_prior": (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "trending_window": TRENDING_WINDOWS,
    "prior_evidence": (None, 10.0, 3.0, *PRIOR_EVIDENCES),
    "popularity_discount": POPULARITY_DISCOUNTS,
    "short_profile_fit": SHORT_PROFILE_FITS,
    "lasting_discount": (0.0, 0.2, 0.5, 0.8),
    "half_life_days": (None, 240.0, 120.0, 60.0, 30.0, 15.0, 7.0),
    "profile_events": (10, 20, 50, 100, PROFILE_EVENTS_MAX),
    "rank_decay": (1.0, 0.99, 0.97, 0.93, 0.85, 0.7, 0.5, 0.3),
    "weight_power": (0.0, 0.5, 1.0),
    "taste": TASTE_SOURCES,
    "affinity_trend": (0.0, 1.0, 10.0),
}
