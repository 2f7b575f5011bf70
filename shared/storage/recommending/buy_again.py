"""What a user may need again: the intervals between purchases, learnt by the job, and the user's own purchases."""

from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.clients.postgres import Connection, execute
from shared.domain.replenishment import REPEAT_SHARE_MAX
from shared.storage.events.refunds import GIVEN_BACK_WHOLE
from shared.storage.recommending.attribution import LOGGED, LoggedAnswer

# A user's purchases of a product on the same day count as one, so that gaps are whole days of at least 1.
CLEAR: Final = "DELETE FROM product_intervals"
FILL: Final = """
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
       -- as if five more buyers had behaved as the whole shop's do
       (b.again + 5 * shop.repeat_share) / (b.buyers + 5)
FROM buyers b CROSS JOIN shop LEFT JOIN medians m USING (product_id)
UNION ALL
SELECT 0, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) FROM gaps WHERE gap IS NOT NULL),
       (SELECT count(gap) FROM gaps), shop.repeat_share FROM shop
RETURNING product_id
"""

# The lines of a user's orders that were paid and then cancelled or refunded, by product, until the refund takes them
# from the user's purchases (shared/storage/events/refunds.py), so that an answer follows at once. An order that was
# never paid counted nowhere. A common table expression beside ``account``.
GIVEN_BACK: Final = """given_back AS MATERIALIZED (
    SELECT i.product_id, count(*) AS lines
    FROM orders o JOIN order_items i ON i.order_id = o.id
    WHERE o.user_id = (SELECT id FROM account) AND o.state IN ('cancelled', 'refunded')
      AND EXISTS (SELECT FROM order_state_changes c WHERE c.order_id = o.id AND c.state = 'paid')
      AND NOT EXISTS (SELECT FROM purchase_lines l WHERE l.event_id = i.event_id AND l.returned >= l.quantity)
    GROUP BY i.product_id
)"""

# Only a user's latest 2,000 purchases count: anything older is long overdue.
READ: Final = f"""
WITH account AS MATERIALIZED (SELECT id FROM users WHERE external_id = :user_id),
{GIVEN_BACK}, {GIVEN_BACK_WHOLE},
bought AS MATERIALIZED (
    SELECT u.product_id, u.purchase_count - coalesce(g.lines, 0) AS purchase_count, u.last_at
    FROM user_purchases u LEFT JOIN given_back g USING (product_id)
    WHERE u.user_id = (SELECT id FROM account)
      AND u.product_id NOT IN (SELECT excluded_by_rules((SELECT id FROM account)))
      AND u.purchase_count > coalesce(g.lines, 0)
    ORDER BY u.last_at DESC LIMIT 2000
), own AS (
    SELECT product_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) AS median_days
    FROM (SELECT product_id, day - lag(day) OVER (PARTITION BY product_id ORDER BY day) AS gap
          FROM (SELECT DISTINCT product_id, (occurred_at AT TIME ZONE 'UTC')::date AS day
                FROM (SELECT product_id, event_type, occurred_at FROM events
                      WHERE user_id = (SELECT id FROM account) AND event_type = 'purchase' AND product_id IS NOT NULL
                        AND (product_id, occurred_at) NOT IN (SELECT product_id, occurred_at FROM given_back_whole)
                      ORDER BY occurred_at DESC LIMIT 2000) AS latest) AS days) AS gaps
    GROUP BY 1 HAVING count(gap) >= 2
), shop AS MATERIALIZED (
    SELECT coalesce((SELECT median_days FROM product_intervals WHERE product_id = 0), 30) AS median_days,
           coalesce((SELECT repeat_share FROM product_intervals WHERE product_id = 0), 0.1) AS repeat_share
), timed AS (
    SELECT b.product_id, b.purchase_count, b.last_at,
           coalesce(o.median_days, i.median_days, shop.median_days) AS usual_days,
           greatest(extract(epoch FROM now() - b.last_at)::float8 / 86400, 0.01) AS days,
           coalesce(i.repeat_share, shop.repeat_share) AS repeat_share
    FROM bought b CROSS JOIN shop LEFT JOIN own o USING (product_id) LEFT JOIN product_intervals i USING (product_id)
), scored AS (
    -- shared/domain/replenishment.py has the formula
    SELECT *, (1 - power(1 - least(repeat_share, {REPEAT_SHARE_MAX}), purchase_count))
              * exp(-0.5 * (ln(days / usual_days) / cast(:spread AS float8)) ^ 2) AS score
    FROM timed
), of_variants AS (
    -- the variant that the user is most likely to buy again, of those in stock first
    SELECT t.*, p, row_number() OVER (PARTITION BY coalesce(p.item_group_id, p.id::text)
                                      ORDER BY p.quantity > 0 DESC, t.score DESC, p.id) AS variant
    FROM scored t JOIN products p ON p.id = t.product_id
    WHERE p.is_active AND (NOT cast(:in_stock AS boolean) OR p.quantity > 0)
), best AS MATERIALIZED (
    SELECT * FROM of_variants WHERE variant = 1 ORDER BY score DESC, product_id LIMIT :k
), {LOGGED.format(ids="ARRAY(SELECT product_id FROM best ORDER BY score DESC, product_id)")}
SELECT product_json(b.p, c, s)::text, b.score, b.last_at, b.purchase_count, b.usual_days
FROM best b LEFT JOIN categories c ON c.id = (b.p).category_id LEFT JOIN product_stats s ON s.product_id = b.product_id
ORDER BY b.score DESC, b.product_id
"""


class Repurchase(NamedTuple):
    """A product that a user bought. ``usual_days`` is the usual interval between its purchases."""

    product: dict[str, Any]
    score: float
    last_purchased_at: datetime
    purchase_count: int
    usual_days: float


def replace_intervals(connection: Connection, *, days: int, min_gaps: int) -> int:
    """Compute the intervals of the last ``days`` inside the caller's transaction; return the number of products.

    A product with fewer than ``min_gaps`` gaps has the shop's interval.
    """
    execute(connection, CLEAR)
    return len(execute(connection, FILL, {"days": days, "min_gaps": min_gaps})) - 1


def read(user_id: str, k: int, *, spread: float, in_stock: bool, log: LoggedAnswer) -> list[Repurchase]:
    """Return the products that a user is most likely to buy again now, best first, and log the answer."""
    rows = postgres.run_prepared(READ, user_id=user_id, k=k, spread=spread, in_stock=in_stock, **log.parameters())
    return [Repurchase(orjson.loads(row[0]), float(row[1]), row[2], int(row[3]), float(row[4])) for row in rows]
