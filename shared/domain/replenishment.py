"""When a product is bought again; no I/O.

score = (1 − (1 − r)^n) · exp(−½ · (ln(t / T) / σ)²)

where n is how often the user bought it, r the share of its buyers who bought it again, t the time since the last
purchase and T the usual interval: the user's own median after three purchases, else the product's, else the shop's. The
first factor is whether this user buys it again at all, the second whether about now: low just after a purchase, 1 when
the interval has passed, fading when it is long over (the user went elsewhere).

After Bhagat et al., "Buy It Again: Modeling Repeat Purchase Recommendations" (KDD 2018): their repeat customer
probability times an aggregate time distribution, which is log-normal. Here its mode is the median interval.
"""

import math
from datetime import datetime, timedelta
from typing import Final

# deviation of ln(t / T): at 2.7 times the interval, or a 2.7th of it, 0.6 of the score is left
SPREAD: Final = 1.0


def score(repeat_share: float, purchases: int, days: float, usual_days: float, spread: float = SPREAD) -> float:
    """Return how likely a product is bought again about now, in [0, 1]; ``days`` and ``usual_days`` above 0.

    shared/storage/recommending/buy_again.py computes the same where the purchases are.
    """
    again = 1 - (1 - min(repeat_share, 0.999)) ** purchases
    return again * math.exp(-0.5 * (math.log(days / usual_days) / spread) ** 2)


def due_at(last_purchased_at: datetime, usual_days: float) -> datetime:
    """Return when the usual interval has passed."""
    return last_purchased_at + timedelta(days=usual_days)
