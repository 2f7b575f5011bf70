"""When a product is bought again. No I/O.

score = (1 − (1 − r)^n) · exp(−½ · (ln(t / T) / σ)²)

n is the number of times the user bought the product, r the share of its buyers who bought it again, t the time since
the last purchase, and T the usual interval: the user's own median after three purchases, otherwise the product's,
otherwise the shop's. The first factor is the probability that this user buys it again at all. The second is about
time: low just after a purchase, 1 when the interval has passed, and fading later, as the user may buy it elsewhere.

After Bhagat et al., "Buy It Again: Modeling Repeat Purchase Recommendations" (KDD 2018): the repeat customer
probability times an aggregate time distribution, which is log-normal. Here the mode is the median interval.
"""

import math
from datetime import datetime, timedelta
from typing import Final

# Standard deviation of ln(t / T). At e times the interval, and at 1/e of it, the score is 0.6 of its maximum.
SPREAD: Final = 1.0
# A greater share counts as this one: no user is certain to buy again.
REPEAT_SHARE_MAX: Final = 0.999


def score(repeat_share: float, purchases: int, days: float, usual_days: float, spread: float = SPREAD) -> float:
    """Return the score of buying a product again about now, in [0, 1]; ``days`` and ``usual_days`` are above 0.

    shared/storage/recommending/buy_again.py computes the same in SQL.
    """
    repeat_probability = 1 - (1 - min(repeat_share, REPEAT_SHARE_MAX)) ** purchases
    return repeat_probability * math.exp(-0.5 * (math.log(days / usual_days) / spread) ** 2)


def due_at(last_purchased_at: datetime, usual_days: float) -> datetime:
    """Return the last purchase plus the usual interval."""
    return last_purchased_at + timedelta(days=usual_days)
