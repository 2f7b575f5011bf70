"""What is tried: algorithms, their parameters' values in order, and where the search starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.models.als import als_neighbours
from jobs.models.cosine import cosine_neighbours
from jobs.models.ease import ease_neighbours, ease_seconds
from jobs.models.ease_head import FIRST_HEAD, ease_head_neighbours, ease_head_seconds
from jobs.models.neighbours import Neighbours
from jobs.models.popularity import popularity_neighbours
from jobs.models.rp3beta import rp3beta_neighbours
from jobs.models.text_weights import bm25_neighbours, tfidf_neighbours
from shared.domain.formula import EXCLUSION_POLICIES, TRENDING_WINDOWS

# an algorithm of ``jobs/models``: ``(user_items, k, **parameters)``
Fit = Callable[..., Neighbours]
Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Space:
    """One candidate: what fits it, the values of its parameters in order, and where the search starts.

    ``seconds`` : about how long a fit takes for so many users and items; 0 where that is no matter.
    """

    fit: Fit
    values: Values = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)
    seconds: Callable[[int, int], float] = lambda _users, _items: 0.0


CO_OCCURRENCE: Final = (1, 2, 3, 5)

# In the order in which they are first tried: cheap and safe ones first, so that a short budget has an answer.
SPACES: Final[Mapping[str, Space]] = {
    "cosine": Space(cosine_neighbours, {"min_co_occurrence": CO_OCCURRENCE}, {"min_co_occurrence": 2}),
    "popularity": Space(popularity_neighbours),
    "rp3beta": Space(
        rp3beta_neighbours,
        {
            "alpha": (0.4, 0.6, 0.8, 1.0, 1.3),
            "beta": (0.0, 0.2, 0.4, 0.6, 0.8),
            "min_co_occurrence": CO_OCCURRENCE,
        },
        {"alpha": 1.0, "beta": 0.2, "min_co_occurrence": 2},
    ),
    "bm25": Space(
        bm25_neighbours,
        {"k1": (0.5, 2.0, 10.0, 100.0), "b": (0.0, 0.25, 0.5, 0.75, 1.0), "min_co_occurrence": CO_OCCURRENCE},
        {"k1": 2.0, "b": 0.5, "min_co_occurrence": 2},
    ),
    "tfidf": Space(tfidf_neighbours, {"min_co_occurrence": CO_OCCURRENCE}, {"min_co_occurrence": 2}),
    "ease": Space(
        ease_neighbours,
        {"regularisation": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), "min_co_occurrence": CO_OCCURRENCE},
        {"regularisation": 3.0, "min_co_occurrence": 2},
        ease_seconds,
    ),
    "ease_head": Space(
        ease_head_neighbours,
        {
            "head": (2_000, 4_000, 8_000),
            "regularisation": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
            "min_co_occurrence": CO_OCCURRENCE,
        },
        {"head": FIRST_HEAD, "regularisation": 3.0, "min_co_occurrence": 2},
        ease_head_seconds,
    ),
    "als": Space(
        als_neighbours,
        {
            "factors": (32, 64, 128),
            "regularisation": (0.1, 1.0, 10.0, 100.0),
            "confidence": (1.0, 5.0, 20.0, 80.0),
            "min_co_occurrence": CO_OCCURRENCE,
        },
        {"factors": 64, "regularisation": 1.0, "confidence": 5.0, "min_co_occurrence": 2},
    ),
}

WEIGHTING: Final[Values] = {
    "half_life_days": (None, 120.0, 60.0, 30.0, 15.0),
    "weight_power": (0.0, 0.5, 1.0),
    "repeated": ("once", "log", "sum"),
}

# In the order in which they are varied. Repeat weights are in units of the neighbours' mean score; priors go up to
# where popularity decides, for shops with little history.
FORMULA: Final[Values] = {
    "exclusion_policy": EXCLUSION_POLICIES,
    "repeat_weight": (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    "frequency_power": (0.0, 0.5, 1.0),
    "blend": (0.0, 0.1, 0.3, 0.6, 0.8, 0.9, 1.0),
    "trending_prior": (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "trending_window": TRENDING_WINDOWS,
    "half_life_days": (None, 240.0, 120.0, 60.0, 30.0, 15.0, 7.0),
    "profile_events": (10, 20, 50, 100, 200),
    "rank_decay": (1.0, 0.99, 0.97, 0.93, 0.85),
    "weight_power": (0.0, 0.5, 1.0),
    "affinity_trend": (0.0, 1.0, 10.0),
}
