"""Attribution: computed answers are logged, feedback on them is stored, and both are counted per day."""

from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from shared.clients import postgres
from shared.clients.postgres import Connection, execute

# How many days back counts can be recomputed.
LOGGED_DAYS: Final = 30
# Extra days, because the answer that led to a purchase may be from the day before, and days here are UTC days.
MARGIN_DAYS: Final = 3
# Days after which the job retention drops answers and feedback.
KEPT_DAYS: Final = LOGGED_DAYS + 5

_LOGGED: Final = """logged AS (
    INSERT INTO recommendation_log (id, user_id, kind, strategy, model_version, product_ids)
    SELECT cast(:log_id AS uuid), cast(:log_user AS text), cast(:log_kind AS text), cast(:log_strategy AS text),
           {version}, {ids}
    WHERE without_waiting()
    ON CONFLICT (id) DO NOTHING
)"""


def logged(ids: str, *, version: str = "cast(:log_version AS integer)") -> str:
    """Return a common table expression that logs an answer with these product ids.

    It is part of the statement that reads the products, so logging needs no extra round trip. A retry after a broken
    connection writes nothing twice. ``version`` is an expression for the model version, if the statement reads it.
    """
    return _LOGGED.format(version=version, ids=ids)


# The user's row for a logged answer, whose segment's rules apply; no row for an answer that is the same for everybody.
SHOPPER: Final = "SELECT id FROM users WHERE external_id = cast(:log_user AS text)"
NO_SHOPPER: Final = "SELECT cast(NULL AS bigint) AS id"

LOGGED_IDS: Final = logged("cast(:ids AS bigint[])")

# The same for many answers at once, given as a JSON array.
LOGGED_MANY: Final = """logged AS (
    INSERT INTO recommendation_log (id, user_id, kind, strategy, model_version, product_ids)
    SELECT id, user_id, kind, strategy, version, ids
    FROM jsonb_to_recordset(cast(:answers AS jsonb))
        AS a(id uuid, user_id text, kind text, strategy text, version integer, ids bigint[])
    WHERE without_waiting()
    ON CONFLICT (id) DO NOTHING
)"""

# First count 0: no such answer. Second count 0: the answer did not contain the product.
RECORD_FEEDBACK: Final = """
WITH answer AS (SELECT product_ids FROM recommendation_log WHERE id = cast(:id AS uuid)),
recorded AS (
    INSERT INTO recommendation_feedback (recommendation_id, product_id, action, position)
    SELECT cast(:id AS uuid), cast(:product_id AS bigint), cast(:action AS text), cast(:position AS integer)
    FROM answer WHERE :product_id = ANY (product_ids)
    ON CONFLICT DO NOTHING
)
SELECT count(*), count(*) FILTER (WHERE :product_id = ANY (product_ids)) FROM answer
"""

# A purchase counts up to 24 hours after the answer, so the last three days may still change. A later refund changes the
# day of the purchase and the day before.
COUNT_DAYS: Final = """
INSERT INTO recommendation_stats SELECT * FROM attribution(current_date - cast(:days AS integer) + 1, current_date)
ON CONFLICT (date, kind, strategy, model_version) DO UPDATE SET
    answers = EXCLUDED.answers, impressions = EXCLUDED.impressions, clicks = EXCLUDED.clicks,
    add_to_carts = EXCLUDED.add_to_carts, purchases = EXCLUDED.purchases, converted = EXCLUDED.converted
RETURNING answers
"""
# The counted days, plus the last ones counted live.
LIVE_AND_COUNTED: Final = """
WITH live AS MATERIALIZED (
    SELECT greatest(least(coalesce(max(date), '-infinity'), current_date), current_date - 2) AS first
    FROM recommendation_stats
), both_parts AS (
    SELECT * FROM recommendation_stats
    WHERE date > current_date - cast(:days AS integer) AND date < (SELECT first FROM live)
    UNION ALL SELECT a.* FROM live, attribution(live.first, current_date) AS a
)"""
SUMMARY: Final = f"""{LIVE_AND_COUNTED}
SELECT kind, strategy, nullif(model_version, 0), sum(answers)::bigint, sum(impressions)::bigint, sum(clicks)::bigint,
       sum(add_to_carts)::bigint, sum(purchases)::bigint, sum(converted)::bigint
FROM both_parts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 DESC
"""


# The users for whom most answers were computed recently. They were the most active, since every action drops the user's
# stored answers.
LATEST_USERS: Final = """
SELECT user_id FROM recommendation_log
WHERE kind = 'recommendations' AND at > now() - make_interval(secs => cast(:seconds AS integer))
GROUP BY user_id ORDER BY count(*) DESC, max(at) DESC, user_id LIMIT cast(:users AS integer)
"""


class LoggedAnswer(NamedTuple):
    """An answer to log. ``kind`` names its route, ``strategy`` how it was computed."""

    id: str
    user_id: str
    kind: str
    strategy: str
    model_version: int | None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of ``logged``."""
        return self.parameters_without_version() | {"log_version": self.model_version}

    def parameters_without_version(self) -> dict[str, Any]:
        """Return the parameters of ``logged`` in a statement that reads the model's version itself."""
        return {
            "log_id": self.id,
            "log_user": self.user_id,
            "log_kind": self.kind,
            "log_strategy": self.strategy,
        }


class FeedbackAnswer(NamedTuple):
    """Whether the answer that feedback refers to exists, and whether it showed the product."""

    exists: bool
    showed_product: bool


def record_feedback(recommendation_id: str, product_id: int, action: str, position: int | None) -> FeedbackAnswer:
    """Store what a user did with a product in an answer; idempotent. Stores nothing if the product was not in it."""
    ((answers, answers_with_product),) = postgres.run_prepared(
        RECORD_FEEDBACK, id=recommendation_id, product_id=product_id, action=action, position=position
    )
    return FeedbackAnswer(bool(answers), bool(answers_with_product))


def latest_users(seconds: int, users: int) -> list[str]:
    """Return up to ``users`` users with recommendations computed in the last ``seconds``, the most active first."""
    return [str(row[0]) for row in postgres.read(LATEST_USERS, seconds=seconds, users=users)]


def count_days(connection: Connection, days: int, *, since: date | None = None) -> int:
    """Recount the answers of the last ``days`` days, including today; return the number of answers.

    More days are counted if needed for ``since``, the day of a refunded purchase; but at most LOGGED_DAYS, since older
    answers are being deleted.
    """
    if since is not None:
        days = max(days, (datetime.now(UTC).date() - since).days + MARGIN_DAYS)
    days = min(days, LOGGED_DAYS)
    return sum(int(row[0]) for row in execute(connection, COUNT_DAYS, {"days": days}))


def summary(days: int) -> list[dict[str, Any]]:
    """Return the numbers of answers in the last ``days`` days and their outcomes, by kind, strategy and model version.

    ``ctr`` is clicks per impression (None without impressions). ``conversion`` is the share of answers followed by a
    purchase of one of their products within 24 hours.
    """
    names = ("kind", "strategy", "model_version", "answers", "impressions", "clicks", "add_to_carts", "purchases")
    lines = []
    for *values, converted in postgres.read(SUMMARY, days=days):
        line = dict(zip(names, values, strict=True))
        line["ctr"] = round(line["clicks"] / line["impressions"], 4) if line["impressions"] else None
        line["conversion"] = round(converted / line["answers"], 4) if line["answers"] else None
        lines.append(line)
    return lines
