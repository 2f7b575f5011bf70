"""A shop owner's summary of the last days: revenue, the share due to recommendations, and what sells.

Days begin at midnight in the shop's time zone. Revenue is net of refunds, at the price in the order or, without one, at
the product's current price. Days of recommendations are UTC days (attribution.py).
"""

from typing import Any, Final

import orjson

from shared.clients.postgres import read
from shared.storage.operations.daily_stats import VISITORS_OF
from shared.storage.recommending.attribution import LIVE_AND_COUNTED

TOP_PRODUCTS: Final = 10
# Number of positions in a recommendation list that are reported separately.
POSITIONS: Final = 20

# A purchase is attributed to recommendations if the same user was recommended the product in the 24 hours before it.
_SOLD: Final = """
WITH window_of AS MATERIALIZED (
    SELECT shop_midnight(shop_day(now()) - cast(:days AS integer) + 1) AS first
), answers AS MATERIALIZED (
    SELECT u.id AS user_id, l.at, l.product_ids FROM recommendation_log l JOIN users u ON u.external_id = l.user_id
    WHERE l.at >= (SELECT first FROM window_of) - interval '24 hours'
), shown AS MATERIALIZED (
    SELECT a.user_id, s.product_id, a.at FROM answers a, unnest(a.product_ids) AS s(product_id)
), sold AS MATERIALIZED (
    SELECT e.event_id, e.user_id, e.product_id, e.occurred_at,
           (e.occurred_at AT TIME ZONE shop.time_zone)::date AS day, e.quantity - e.returned AS pieces,
           (e.quantity - e.returned) * coalesce(l.price, p.price) AS revenue
    FROM shop, events e JOIN products p ON p.id = e.product_id LEFT JOIN purchase_lines l ON l.event_id = e.event_id
    WHERE e.event_type = 'purchase' AND e.returned < e.quantity AND e.occurred_at <= now()
      AND e.occurred_at >= (SELECT first FROM window_of)
)"""
REVENUE: Final = f"""{_SOLD}, recommended AS MATERIALIZED (
    SELECT DISTINCT s.event_id FROM sold s JOIN shown r
        ON r.user_id = s.user_id AND r.product_id = s.product_id
           AND r.at <= s.occurred_at AND r.at > s.occurred_at - interval '24 hours'
)
SELECT d::date AS day, coalesce(sum(s.revenue), 0)::float8, count(s.event_id),
       coalesce(sum(s.revenue) FILTER (WHERE r.event_id IS NOT NULL), 0)::float8,
       count(DISTINCT s.user_id)
FROM generate_series(shop_day(now()) - cast(:days AS integer) + 1, shop_day(now()), interval '1 day') AS d
LEFT JOIN sold s ON s.day = d::date LEFT JOIN recommended r ON r.event_id = s.event_id
GROUP BY 1 ORDER BY 1
"""
TOP: Final = f"""{_SOLD}, best AS (
    SELECT product_id, sum(pieces) AS pieces, sum(revenue) AS revenue FROM sold
    GROUP BY 1 ORDER BY sum(revenue) DESC, product_id LIMIT :top
)
SELECT product_json(p, c, s)::text, b.pieces::bigint, b.revenue::float8
FROM best b JOIN products p ON p.id = b.product_id LEFT JOIN categories c ON c.id = p.category_id
LEFT JOIN product_stats s ON s.product_id = p.id ORDER BY b.revenue DESC, p.id
"""
# Live counts may begin before these days.
BY_DAY: Final = f"""{LIVE_AND_COUNTED}
SELECT date, kind, sum(answers)::bigint, sum(impressions)::bigint, sum(clicks)::bigint, sum(purchases)::bigint,
       sum(converted)::bigint
FROM both_parts WHERE date > current_date - cast(:days AS integer) GROUP BY 1, 2 ORDER BY 1, 2
"""
# Days that ended before yesterday come from the daily counts if they are counted; all others are counted live.
VISITORS: Final = f"""
WITH counted AS MATERIALIZED (
    SELECT date, visitors, new_visitors FROM daily_visitor_stats
    WHERE date > shop_day(now()) - cast(:days AS integer) AND date < shop_day(now()) - 1
), live AS MATERIALIZED (
    SELECT min(d)::date AS first
    FROM generate_series(shop_day(now()) - cast(:days AS integer) + 1, shop_day(now()), interval '1 day') AS d
    WHERE d::date NOT IN (SELECT date FROM counted)
), spans AS MATERIALIZED (
    SELECT shop_midnight(first) AS begins, shop_midnight(shop_day(now()) + 1) AS ends FROM live
)
SELECT date, visitors, new_visitors FROM counted WHERE date < (SELECT first FROM live)
UNION ALL
{VISITORS_OF.format(spans="spans")}
"""
# By position in the response, regardless of the position that the storefront reported.
BY_POSITION: Final = """
SELECT place, count(*) FILTER (WHERE action = 'impression'), count(*) FILTER (WHERE action = 'click')
FROM (SELECT f.action, array_position(l.product_ids, f.product_id) AS place
      FROM recommendation_feedback f JOIN recommendation_log l ON l.id = f.recommendation_id
      WHERE f.at > now() - make_interval(days => :days) AND f.action IN ('impression', 'click')) AS placed
WHERE place BETWEEN 1 AND :positions GROUP BY 1 ORDER BY 1
"""
SHOP: Final = "SELECT currency, time_zone FROM shop"


def _share(part: float, total: float) -> float | None:
    return round(part / total, 4) if total else None


def read_overview(days: int) -> dict[str, Any]:
    """Return the figures of the last ``days`` days including today. Raises DatabaseUnavailable."""
    currency, time_zone = read(SHOP)[0]
    visitors = {row[0]: (row[1], row[2]) for row in read(VISITORS, days=days)}
    by_day = [
        {
            "date": row[0],
            "revenue": row[1],
            "purchases": row[2],
            "recommended_revenue": row[3],
            "buyers": row[4],
            "visitors": visitors.get(row[0], (0, 0))[0],
            "new_visitors": visitors.get(row[0], (0, 0))[1],
        }
        for row in read(REVENUE, days=days)
    ]
    # No currency has more decimals; without rounding, sums show floating-point noise.
    revenue = round(sum(day["revenue"] for day in by_day), 4)
    recommended = round(sum(day["recommended_revenue"] for day in by_day), 4)
    return {
        "days": days,
        "currency": currency,
        "time_zone": time_zone,
        "revenue": revenue,
        "recommended_revenue": recommended,
        "recommended_share": _share(recommended, revenue),
        "by_day": by_day,
        "top_products": [
            {"product": orjson.Fragment(row[0]), "pieces": row[1], "revenue": row[2]}
            for row in read(TOP, days=days, top=TOP_PRODUCTS)
        ],
        "recommendations_by_day": [
            {
                "date": row[0],
                "kind": row[1],
                "answers": row[2],
                "impressions": row[3],
                "clicks": row[4],
                "ctr": _share(row[4], row[3]),
                "purchases": row[5],
                "conversion": _share(row[6], row[2]),
            }
            for row in read(BY_DAY, days=days)
        ],
        "recommendations_by_position": [
            {"position": row[0], "impressions": row[1], "clicks": row[2], "ctr": _share(row[2], row[1])}
            for row in read(BY_POSITION, days=days, positions=POSITIONS)
        ],
    }
