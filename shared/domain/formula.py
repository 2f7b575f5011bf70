"""The constants of the serving formula: what a model version says under ``parameters.serving``."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

Returning = Literal["all", "unbought", "unseen"]
TrendingWindow = Literal["7d", "30d", "all"]

RETURNING: Final[tuple[Returning, ...]] = ("all", "unbought", "unseen")
TRENDING_WINDOWS: Final[tuple[TrendingWindow, ...]] = ("7d", "30d", "all")


@dataclass(frozen=True)
class Formula:
    """How a profile becomes an answer.

    shared/storage/recommending/candidates.py and shared/domain/ranking.py compute the same.

    profile: the products of the last ``profile_events`` events (at most 200), each with
        w = (greatest event weight)^weight_power · (its events)^frequency_power · rank_decay^(rank − 1)
            · 2^(−age / half_life_days),
        rank by last event, age in days before the user's newest event (no half-life: no decay by age).
    cf(j) = Σ_i w_i · sim(i, j) + repeat_weight · w_j
    score = blend · cf / max cf + (1 − blend) · fit / max fit + trending_prior · trend / max trend,
        where trend is the score of ``trending_window``, and "all" the number of purchases;
        fit = affinity · (1 + affinity_trend · trend / max trend).
    returning: which known products may be shown: all, those not bought yet, or only those never met.
    """

    profile_events: int = 50
    rank_decay: float = 1.0
    half_life_days: float | None = None
    weight_power: float = 1.0
    frequency_power: float = 0.0
    repeat_weight: float = 0.0
    blend: float = 0.6
    trending_prior: float = 0.0
    affinity_trend: float = 1.0
    trending_window: TrendingWindow = "7d"
    returning: Returning = "unbought"

    def parameters(self) -> dict[str, Any]:
        """Return it as the JSON that a model version carries."""
        return asdict(self)

    def with_(self, **changes: Any) -> "Formula":
        """Return it with some constants changed."""
        return replace(self, **changes)

    def in_scores_of(self, mean_score: float) -> "Formula":
        """Return the formula with ``repeat_weight`` in units of scores, given in units of the neighbours' mean score.

        It is tuned in those units: how large scores are beside the greatest, which is 1, differs from model to model,
        and between what is fitted before a cut and on everything.
        """
        return self.with_(repeat_weight=self.repeat_weight * mean_score)
