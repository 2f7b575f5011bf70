"""When a product is bought again: the formula of ``/buy-again``, its parameters, limits and constants. No I/O.

Of the products that a user bought,

    score(j) = (Σ 2^(−age / half_life_days) + repeat_evidence · r) · (trend / max trend + TREND_FLOOR)^trend_power
               · exp(−½ · timing · ln(t / T)²)

The sum is over the user's purchases of j, so that both frequency and recency count. r is the share of the product's
buyers who bought it again, which dominates while a user has few purchases. ``trend`` is the product's trending score:
what others buy now is in season, in fashion and in stock. The maximum is over the user's products. t is the time since
the last purchase, and T the usual interval: the user's own median after three purchases on different days, otherwise
the product's, otherwise the shop's. The last factor is 1 exactly one interval after the last purchase, and lower before
and after.

Products bought within the last REST_DAYS come after all others: shoppers rarely need a product twice on one day.

The first two factors extend the personal frequency of Hu, He, Gao and Zhang, "Modeling Personalized Item Frequency
Information for Next-basket Recommendation" (SIGIR 2020). The last is the aggregate time distribution of Bhagat et al.,
"Buy It Again: Modeling Repeat Purchase Recommendations" (KDD 2018), a log-normal whose mode is the median interval.

Two implementations import this module: the statement of shared/storage/recommending/buy_again.py, which serves, and the
arrays of jobs/offline/buy_again.py, which tune and evaluate. The test tests/integration/test_buy_again_formula.py
compares their answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.trending import WindowName

# The key in ``models.parameters`` that holds the formula. A version without it is served with the defaults.
REPLENISHMENT_KEY: Final = "serving_buy_again"

# Maximum numbers of a user's latest purchases and of bought products that count: older ones have no weight, and the
# statement stays fast.
PURCHASES_MAX: Final = 2_000
# Purchases older than this many half-lives decay no further, as in shared/domain/formula.py.
HALVINGS_MAX: Final = 200
# Minimum time since the last purchase, in days, in the time distribution, because the logarithm of 0 is undefined.
DAYS_MIN: Final = 0.01
# Days after a purchase during which the product comes after all others.
REST_DAYS: Final = 0.5
# Added to the share of the greatest trend, since a product without any trend may still be bought again.
TREND_FLOOR: Final = 0.03

# Days of purchase history from which intervals and repeat shares are estimated.
INTERVAL_DAYS: Final = 365
# Minimum number of gaps between purchases for a product to have its own interval.
GAPS_MIN: Final = 5
# Minimum number of gaps between one user's purchases of a product for the user to have their own interval.
OWN_GAPS_MIN: Final = 2
# A product's repeat share is shrunk towards the shop's, as if this many more buyers had behaved like the shop's.
PRIOR_BUYERS: Final = 5
# The interval and the repeat share of a shop without data.
DAYS_DEFAULT: Final = 30.0
REPEAT_SHARE_DEFAULT: Final = 0.1
# A product is due only if at least this share of its buyers bought it again, or if the user did so often enough to have
# their own interval. A parka is bought once.
DUE_REPEAT_SHARE_MIN: Final = 0.1
# A user's gaps are regular if the third quartile is at most this many times the first.
REGULAR_RATIO: Final = 2.0


@dataclass(frozen=True)
class ReplenishmentFormula:
    """The parameters of the formula. A model version stores them; tuning varies them.

    The defaults are for shops that are too small to tune. They were chosen on earlier days of online_retail and
    complete_journey; docs/decisions/0037-buy-again.md has the figures.

    Attributes
    ----------
    half_life_days : days after which a purchase counts half, above 0; None for no decay by age.
    repeat_evidence : weight of the repeat share relative to one purchase made today, at least 0.
    trend_power : exponent of the trend, at least 0; 0 ignores what others buy.
    trending_window : the trending scores that count.
    timing : weight of the usual interval, at least 0, 1 / σ² of the log-normal; 0 ignores it.
    """

    half_life_days: float | None = 240.0
    repeat_evidence: float = 1.0
    trend_power: float = 0.4
    trending_window: WindowName = "30d"
    timing: float = 0.03

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any] | None) -> "ReplenishmentFormula":
        """Return the formula stored in a model version's ``parameters``, or the defaults if it has none.

        An unknown key is ignored: a version published by a later release can be served.
        """
        stored = (parameters or {}).get(REPLENISHMENT_KEY) or {}
        return replace(cls(), **{name: stored[name] for name in cls.__dataclass_fields__ if name in stored})

    def parameters(self) -> dict[str, Any]:
        """Return the JSON object that a model version stores under REPLENISHMENT_KEY."""
        return asdict(self)

    def with_(self, **changes: Any) -> "ReplenishmentFormula":
        """Return the formula with some parameters changed."""
        return replace(self, **changes)


def due_at(last_purchased_at: datetime, usual_days: float) -> datetime:
    """Return the last purchase plus the usual interval."""
    return last_purchased_at + timedelta(days=usual_days)


def is_due(due_at: datetime, now: datetime, repeat_share: float, quartiles: Sequence[float] | None) -> bool:
    """Return whether the usual interval has passed and the product is one that is bought again.

    quartiles : of the user's gaps, in days; None if they have fewer than OWN_GAPS_MIN.
    """
    return due_at <= now and (quartiles is not None or repeat_share >= DUE_REPEAT_SHARE_MIN)


def regular_days(quartiles: Sequence[float] | None) -> float | None:
    """Return the interval at which a user usually buys a product, in days; None if their gaps are not regular.

    quartiles : of the user's gaps, in days; None if they have fewer than OWN_GAPS_MIN.
    """
    if quartiles is None:
        return None
    first, median, third = quartiles
    return median if third <= REGULAR_RATIO * first else None
