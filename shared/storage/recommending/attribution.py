"""What became of recommendations: each computed answer, what shoppers did with it, and both counted per day."""

from typing import Any, Final, NamedTuple

from shared.clients import postgres
from shared.clients.postgres import Connection, execute

# answers are kept for five days more than they are counted for (shared/storage/operations/retention.py)
LOGGED_DAYS: Final = 30

# A common table expression for the statement that reads the products shown: the log costs no round trip of its own.
# Asked again after a broken connection it writes nothing twice.
LOGGED: Final = """logged AS (
    INSERT INTO recommendation_log (id, user_id, kind, strategy, model_version, product_ids)
    SELECT cast(:log_id AS uuid), cast(:log_user AS text), cast(:log_kind AS text), cast(:log_strategy AS text),
           cast(:log_version AS integer), {ids}
    WHERE without_waiting()
    ON CONFLICT (id) DO NOTHING
)"""
LOGGED_IDS: Final = LOGGED.format(ids="cast(:ids AS bigint[])")

# known 0: no such answer; shown 0: it did not have that product
KEEP: Final = """
WITH answer AS (SELECT product_ids FROM recommendation_log WHERE id = cast(:id AS uuid)),
kept AS (
    INSERT INTO recommendation_feedback (recommendation_id, product_id, action, position)
    SELECT cast(:id AS uuid), cast(:product_id AS bigint), cast(:action AS text), cast(:position AS integer)
    FROM answer WHERE :product_id = ANY (product_ids)
    ON CONFLICT DO NOTHING
)
SELECT count(*), count(*) FILTER (WHERE :product_id = ANY (product_ids)) FROM answer
"""

# answers and what followed within 24 hours: the last three days may still change
COUNT_DAYS: Final = """
INSERT INTO recommendation_stats SELECT * FROM attribution(current_date - cast(:days AS integer) + 1, current_date)
ON CONFLICT (date, kind, strategy, model_version) DO UPDATE SET
    answers = EXCLUDED.answers, impressions = EXCLUDED.impressions, clicks = EXCLUDED.clicks,
    add_to_carts = EXCLUDED.add_to_carts, purchases = EXCLUDED.purchases, converted = EXCLUDED.converted
RETURNING answers
"""
SUMMARY: Final = """
WITH live AS MATERIALIZED (
    SELECT greatest(least(coalesce(max(date), '-infinity'), current_date), current_date - 2) AS first
    FROM recommendation_stats
), both_parts AS (
    SELECT * FROM recommendation_stats
    WHERE date > current_date - cast(:days AS integer) AND date < (SELECT first FROM live)
    UNION ALL SELECT a.* FROM live, attribution(live.first, current_date) AS a
)
SELECT kind, strategy, nullif(model_version, 0), sum(answers)::bigint, sum(impressions)::bigint, sum(clicks)::bigint,
       sum(add_to_carts)::bigint, sum(purchases)::bigint, sum(converted)::bigint
FROM both_parts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 DESC
"""


class Logged(NamedTuple):
    """An answer as it is logged. ``kind`` is the route's, ``strategy`` how it was made."""

    id: str
    user_id: str
    kind: str
    strategy: str
    model_version: int | None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of LOGGED."""
        return {
            "log_id": self.id,
            "log_user": self.user_id,
            "log_kind": self.kind,
            "log_strategy": self.strategy,
            "log_version": self.model_version,
        }


class Feedback(NamedTuple):
    """Whether a feedback's answer is known, and whether it showed the product."""

    known: bool
    shown: bool


def keep(recommendation_id: str, product_id: int, action: str, position: int | None) -> Feedback:
    """Store what a shopper did with a product of an answer, once; nothing where the answer did not show it."""
    rows = postgres.run_prepared(KEEP, id=recommendation_id, product_id=product_id, action=action, position=position)
    return Feedback(bool(rows[0][0]), bool(rows[0][1]))


def count_days(connection: Connection, days: int) -> int:
    """Count the answers of the last ``days`` days, today included, anew; return how many there were."""
    return sum(int(row[0]) for row in execute(connection, COUNT_DAYS, {"days": days}))


def summary(days: int) -> list[dict[str, Any]]:
    """Return answers and what became of them in the last ``days`` days by kind, strategy and model version.

    ``ctr`` is clicks per impression (None without impressions), ``conversion`` the share of answers of which something
    was bought within 24 hours.
    """
    names = ("kind", "strategy", "model_version", "answers", "impressions", "clicks", "add_to_carts", "purchases")
    found = []
    for *values, converted in postgres.read(SUMMARY, days=days):
        one = dict(zip(names, values, strict=True))
        one["ctr"] = round(one["clicks"] / one["impressions"], 4) if one["impressions"] else None
        one["conversion"] = round(converted / one["answers"], 4) if one["answers"] else None
        found.append(one)
    return found
