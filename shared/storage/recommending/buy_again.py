"""Repurchases: intervals between purchases, computed by the job, and the products that a user may need again."""

from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.clients.postgres import Connection, execute
from shared.domain.replenishment import (
    DAYS_DEFAULT,
    DAYS_MIN,
    HALVINGS_MAX,
    OWN_GAPS_MIN,
    PRIOR_BUYERS,
    PURCHASES_MAX,
    REPEAT_SHARE_DEFAULT,
    REPLENISHMENT_KEY,
    REST_DAYS,
    TREND_FLOOR,
    ReplenishmentFormula,
)
from shared.storage.catalog.variants import GROUP_KEY
from shared.storage.events.refunds import GIVEN_BACK_WHOLE
from shared.storage.recommending.attribution import LoggedAnswer, logged

# A user's purchases of a product on the same day count as one, so that gaps are whole days of at least 1.
CLEAR: Final = "DELETE FROM product_intervals"
FILL: Final = f"""
INSERT INTO product_intervals (product_id, median_days, gaps, repeat_share)
WITH days AS MATERIALIZED (
    SELECT DISTINCT user_id, product_id, (occurred_at AT TIME ZONE 'UTC')::date AS day
    FROM events WHERE event_type = 'purchase' AND product_id IS NOT NULL AND counted
      AND occurred_at > now() - make_interval(days => :days)
), gaps AS MATERIALIZED (
    SELECT product_id, day - lag(day) OVER (PARTITION BY user_id, product_id ORDER BY day) AS gap FROM days
), buyers AS MATERIALIZED (
    SELECT product_id, count(*) AS buyers, count(*) FILTER (WHERE n > 1) AS again
    FROM (SELECT user_id, product_id, count(*) AS n FROM days GROUP BY 1, 2) AS each GROUP BY 1
), shop AS MATERIALIZED (
    SELECT coalesce(sum(again) / nullif(sum(buyers), 0), 0)::float8 AS repeat_share FROM buyers
), medians AS (
    SELECT product_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) AS median_days, count(gap) AS gaps
    FROM gaps WHERE gap IS NOT NULL GROUP BY 1
)
SELECT b.product_id, CASE WHEN m.gaps >= :min_gaps THEN m.median_days END, coalesce(m.gaps, 0),
       (b.again + {PRIOR_BUYERS} * shop.repeat_share) / (b.buyers + {PRIOR_BUYERS})
FROM buyers b CROSS JOIN shop LEFT JOIN medians m USING (product_id)
UNION ALL
SELECT 0, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) FROM gaps WHERE gap IS NOT NULL),
       (SELECT count(gap) FROM gaps), shop.repeat_share FROM shop
RETURNING product_id
"""

# The lines of a user's orders that were paid and then cancelled or refunded, by product, until the refund is subtracted
# from the user's purchases (shared/storage/events/refunds.py), so that answers reflect it at once. An order never paid
# was not counted anywhere. A CTE that reads the CTE ``account``.
GIVEN_BACK: Final = """given_back AS MATERIALIZED (
    SELECT i.product_id, count(*) AS lines
    FROM orders o JOIN order_items i ON i.order_id = o.id
    WHERE o.user_id = (SELECT id FROM account) AND o.state IN ('cancelled', 'refunded')
      AND EXISTS (SELECT FROM order_state_changes c WHERE c.order_id = o.id AND c.state = 'paid')
      AND NOT EXISTS (SELECT FROM purchase_lines l WHERE l.event_id = i.event_id AND l.returned >= l.quantity)
    GROUP BY i.product_id
)"""


def _parameter_columns() -> str:
    """Return the columns of the active model's formula, with defaults for parameters that the model lacks.

    A null half-life means no decay.
    """
    defaults = ReplenishmentFormula().parameters()
    columns = []
    for name, default in defaults.items():
        stored = f"formula ->> '{name}'"
        if isinstance(default, str):
            column = f"coalesce({stored}, '{default}')"
        elif name == "half_life_days":
            column = f"CASE WHEN formula ? '{name}' THEN ({stored})::float8 ELSE {default} END"
        else:
            column = f"coalesce(({stored})::float8, {default})"
        columns.append(f"{column} AS {name}")
    return ",\n           ".join(columns)


_AGE_DAYS: Final = "greatest(extract(epoch FROM now() - {at})::float8 / 86400, 0)"
_DECAY: Final = f"""CASE WHEN half_life_days IS NULL THEN 1
                ELSE power(2::float8, -least({_AGE_DAYS} / half_life_days, {HALVINGS_MAX})) END"""

# The statement itself reads the version, with its formula.
_LOGGED: Final = logged("ARRAY(SELECT product_id FROM best ORDER BY place)", version="(SELECT version FROM model)")
# shared/domain/replenishment.py has the formula. Returned lines reduce the decayed sum by their share. Products whose
# purchases were dropped with old events count by their last purchase.
READ: Final = f"""
WITH account AS MATERIALIZED (SELECT id FROM users WHERE external_id = :user_id),
{GIVEN_BACK}, {GIVEN_BACK_WHOLE},
model AS MATERIALIZED (
    SELECT version,
           {_parameter_columns()}
    FROM (SELECT version, parameters -> '{REPLENISHMENT_KEY}' AS formula FROM models WHERE active
          UNION ALL SELECT NULL, NULL ORDER BY version LIMIT 1) AS m
), bought AS MATERIALIZED (
    SELECT u.product_id, u.purchase_count - coalesce(g.lines, 0) AS purchase_count, u.last_at
    FROM user_purchases u LEFT JOIN given_back g USING (product_id)
    WHERE u.user_id = (SELECT id FROM account)
      AND u.product_id NOT IN (SELECT excluded_by_rules((SELECT id FROM account)))
      AND u.purchase_count > coalesce(g.lines, 0)
    ORDER BY u.last_at DESC, u.product_id LIMIT {PURCHASES_MAX}
), latest AS MATERIALIZED (
    SELECT product_id, occurred_at FROM events
    WHERE user_id = (SELECT id FROM account) AND event_type = 'purchase' AND product_id IS NOT NULL
      AND (product_id, occurred_at) NOT IN (SELECT product_id, occurred_at FROM given_back_whole)
    ORDER BY occurred_at DESC LIMIT {PURCHASES_MAX}
), own AS MATERIALIZED (
    SELECT product_id, percentile_cont(ARRAY[0.25, 0.5, 0.75]::float8[]) WITHIN GROUP (ORDER BY gap) AS quartiles
    FROM (SELECT product_id, (day - lag(day) OVER (PARTITION BY product_id ORDER BY day))::float8 AS gap
          FROM (SELECT DISTINCT product_id, (occurred_at AT TIME ZONE 'UTC')::date AS day FROM latest) AS days) AS gaps
    GROUP BY 1 HAVING count(gap) >= {OWN_GAPS_MIN}
), decayed AS MATERIALIZED (
    SELECT product_id, avg({_DECAY.format(at="occurred_at")}) AS mean_decay FROM latest, model GROUP BY 1
), shop AS MATERIALIZED (
    SELECT coalesce((SELECT median_days FROM product_intervals WHERE product_id = 0), {DAYS_DEFAULT}) AS median_days,
           coalesce((SELECT repeat_share FROM product_intervals WHERE product_id = 0),
                    {REPEAT_SHARE_DEFAULT}) AS repeat_share
), timed AS MATERIALIZED (
    SELECT b.product_id, b.purchase_count, b.last_at, o.quartiles,
           coalesce(o.quartiles[2], i.median_days, shop.median_days) AS usual_days,
           greatest({_AGE_DAYS.format(at="b.last_at")}, {DAYS_MIN}) AS days,
           b.purchase_count * coalesce(d.mean_decay, {_DECAY.format(at="b.last_at")}) AS purchases,
           coalesce(i.repeat_share, shop.repeat_share) AS repeat_share,
           coalesce(t.score / nullif(max(t.score) OVER (), 0), 0) AS trend_share
    FROM bought b CROSS JOIN shop CROSS JOIN model
    LEFT JOIN own o USING (product_id) LEFT JOIN decayed d USING (product_id)
    LEFT JOIN product_intervals i USING (product_id)
    LEFT JOIN trending_scores t ON t.time_window = model.trending_window AND t.product_id = b.product_id
), scored AS (
    SELECT timed.*, days < {REST_DAYS} AS rests,
           (purchases + repeat_evidence * repeat_share) * power(trend_share + {TREND_FLOOR}, trend_power)
           * exp(-0.5 * timing * ln(days / usual_days) ^ 2) AS score
    FROM timed, model
), of_variants AS (
    -- the variant that the user is most likely to buy again, of those in stock first
    SELECT t.product_id, t.score / nullif(max(t.score) OVER (), 0) AS score, t.rests, t.last_at, t.purchase_count,
           t.usual_days, t.quartiles, t.repeat_share, p,
           row_number() OVER (PARTITION BY {GROUP_KEY.format(alias="p")}
                              ORDER BY p.quantity > 0 DESC, t.rests, t.score DESC, p.id) AS variant
    FROM scored t JOIN products p ON p.id = t.product_id
    WHERE p.is_active AND (NOT cast(:in_stock AS boolean) OR p.quantity > 0)
), best AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY (p).quantity > 0 DESC, rests, score DESC, product_id) AS place
    FROM of_variants WHERE variant = 1 ORDER BY place LIMIT :k
), {_LOGGED}
SELECT product_json(b.p, c, s)::text, coalesce(b.score, 0), b.last_at, b.purchase_count, b.usual_days, b.quartiles,
       b.repeat_share
FROM best b LEFT JOIN categories c ON c.id = (b.p).category_id LEFT JOIN product_stats s ON s.product_id = b.product_id
ORDER BY b.place
"""


class Repurchase(NamedTuple):
    """A product that a user bought.

    usual_days : the usual interval between its purchases. own_quartiles : quartiles of the user's own gaps in days,
    None if there are too few. repeat_share : share of the product's buyers who bought it again, shrunk towards the
    shop's.
    """

    product: dict[str, Any]
    score: float
    last_purchased_at: datetime
    purchase_count: int
    usual_days: float
    own_quartiles: list[float] | None
    repeat_share: float


def replace_intervals(connection: Connection, *, days: int, min_gaps: int) -> int:
    """Compute the intervals from the last ``days`` days inside the caller's transaction; return the number of products.

    A product with fewer than ``min_gaps`` gaps gets the shop's interval.
    """
    execute(connection, CLEAR)
    return len(execute(connection, FILL, {"days": days, "min_gaps": min_gaps})) - 1


def read(user_id: str, k: int, *, in_stock: bool, log: LoggedAnswer) -> list[Repurchase]:
    """Return up to ``k`` products that the user is most likely to buy again now, best first, and log the answer."""
    rows = postgres.run_prepared(READ, user_id=user_id, k=k, in_stock=in_stock, **log.parameters_without_version())
    return [
        Repurchase(orjson.loads(row[0]), float(row[1]), row[2], int(row[3]), float(row[4]), row[5], float(row[6]))
        for row in rows
    ]
