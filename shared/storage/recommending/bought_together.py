"""Products bought together: the baskets that the job reads, and the pairs that the route reads.

A basket is the set of products that a user bought with one session id or, without a session id, in one clock hour.
"""

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.clients.postgres import Connection, copy_in, execute
from shared.domain.product_references import ProductReference, arrays, contradiction
from shared.storage.catalog.variants import GROUP_KEY
from shared.storage.recommending.attribution import NO_SHOPPER, SHOPPER, LoggedAnswer, logged

# Packed as big-endian integers, because reading rows would cost more than everything else.
BASKETS: Final = """
WITH bought AS MATERIALIZED (
    SELECT product_id, dense_rank() OVER (
               ORDER BY user_id, coalesce('s' || session_id, date_trunc('hour', occurred_at)::text)) AS basket
    FROM events
    WHERE event_type = 'purchase' AND product_id IS NOT NULL AND counted
      AND occurred_at > now() - make_interval(days => :days)
), sized AS MATERIALIZED (
    SELECT basket, count(DISTINCT product_id) AS size FROM bought GROUP BY 1
)
SELECT coalesce(string_agg(int8send(basket), ''), ''), coalesce(string_agg(int8send(product_id), ''), ''),
       (SELECT count(*) FROM sized WHERE size <= :max_basket), (SELECT count(*) FROM sized WHERE size > :max_basket)
FROM bought JOIN sized USING (basket) WHERE size <= :max_basket
"""
# Readers see the old pairs until the transaction commits.
CLEAR: Final = "DELETE FROM bought_together"
FILL: Final = "COPY bought_together (product_id, others, scores, lifts, confidences, counts) FROM STDIN"

# The scores for several context products are combined as 1 − Π(1 − score). Lift, confidence and count are those for the
# context product with the highest score.
_READ: Final = """
WITH shopper AS MATERIALIZED ({shopper}), context AS MATERIALIZED (
    SELECT c.id, p.item_group_id
    FROM (SELECT DISTINCT unnest(cast(:context AS bigint[])) AS id) AS c LEFT JOIN products p USING (id)
), pairs AS (
    SELECT n.id, n.score, n.lift, n.confidence, n.count, c.id AS source
    FROM context c JOIN bought_together b ON b.product_id = c.id,
    unnest(b.others, b.scores, b.lifts, b.confidences, b.counts) AS n(id, score, lift, confidence, count)
    WHERE n.id NOT IN (SELECT id FROM context) AND n.id NOT IN (
        SELECT excluded_by_rules((SELECT id FROM shopper)))
), combined AS (
    SELECT id, 1 - exp(sum(ln(greatest(1 - score::float8, 1e-9)))) AS score,
           (array_agg(json_build_object('lift', round(lift::numeric, 4), 'confidence', round(confidence::numeric, 4),
                                        'count', count) ORDER BY score DESC, source))[1] AS measures,
           (array_agg(source ORDER BY score DESC, source))[1] AS source
    FROM pairs GROUP BY id
), of_variants AS (
    -- a product stands where its best variant stands, and shows the best in stock
    SELECT b.*, p, max(b.score) OVER same AS group_score, min(b.id) OVER same AS group_id,
           row_number() OVER (same ORDER BY p.quantity > 0 DESC, b.score DESC, b.id) AS variant
    FROM combined b JOIN products p ON p.id = b.id
    WHERE p.is_active
      AND (p.item_group_id IS NULL
           OR p.item_group_id NOT IN (SELECT item_group_id FROM context WHERE item_group_id IS NOT NULL))
    WINDOW same AS (PARTITION BY {group})
), shown AS (
    SELECT variant_in_stock(p, (SELECT id FROM shopper)) AS p, group_score AS score, measures, source, group_id
    FROM of_variants WHERE variant = 1
), best AS MATERIALIZED (
    SELECT (p).id, p, score, measures, source, group_id FROM shown
    WHERE NOT cast(:in_stock AS boolean) OR (p).quantity > 0
    ORDER BY score DESC, group_id LIMIT :k
){logged}
SELECT product_json(b.p, c, s)::text, b.score, b.measures::text, b.source, source.name
FROM best b JOIN products source ON source.id = b.source
LEFT JOIN categories c ON c.id = (b.p).category_id LEFT JOIN product_stats s ON s.product_id = b.id
ORDER BY b.score DESC, b.group_id
""".replace("{group}", GROUP_KEY.format(alias="p"))
READ_LOGGED: Final = _READ.replace("{shopper}", SHOPPER).replace(
    "{logged}", ", " + logged("ARRAY(SELECT id FROM best ORDER BY score DESC, group_id)")
)
READ_ONLY: Final = _READ.replace("{shopper}", NO_SHOPPER).replace("{logged}", "")
# The context products in the given order: for each reference, the product of either id.
CONTEXT: Final = """
SELECT i.id, e.id, coalesce(i.external_id, e.external_id), coalesce(i.is_active, e.is_active)
FROM unnest(cast(:context AS bigint[]), cast(:context_external AS text[]))
    WITH ORDINALITY AS c(id, external_id, position)
LEFT JOIN products i ON i.id = c.id LEFT JOIN products e ON e.external_id = c.external_id
ORDER BY c.position
"""


class Baskets(NamedTuple):
    """Basket-product pairs as big-endian 64-bit integers, and the numbers of baskets read and left out."""

    baskets: bytes
    products: bytes
    number: int
    too_large: int


def read_baskets(*, days: int, max_basket: int) -> Baskets:
    """Read the baskets of the last ``days`` days with at most ``max_basket`` different products."""
    with postgres.transaction(statement_timeout_s=0) as connection:
        row = execute(connection, BASKETS, {"days": days, "max_basket": max_basket})[0]
    return Baskets(bytes(row[0]), bytes(row[1]), int(row[2]), int(row[3]))


def replace(connection: Connection, rows: Iterable[bytes]) -> None:
    """Replace all pairs, inside the caller's transaction, with lines of COPY text that have the columns of FILL."""
    execute(connection, CLEAR)
    copy_in(connection, FILL, BytesIO(b"".join(rows)))


class TogetherProduct(NamedTuple):
    """A product bought together with the context products.

    score : in [0, 1].
    measures : lift, confidence and count with respect to the context product with the highest score.
    source_id, source_name : that context product.
    """

    product: dict[str, Any]
    score: float
    measures: dict[str, Any]
    source_id: int
    source_name: str


def together(context: Sequence[int], k: int, *, in_stock: bool, log: LoggedAnswer | None) -> list[TogetherProduct]:
    """Return up to ``k`` products bought together with the context products, best first.

    With ``log``, the same statement logs the answer.
    """
    parameters: dict[str, Any] = {"context": list(context), "k": k, "in_stock": in_stock}
    if log is None:
        rows = postgres.run_prepared(READ_ONLY, **parameters)
    else:
        rows = postgres.run_prepared(READ_LOGGED, **parameters, **log.parameters())
    return [TogetherProduct(orjson.loads(row[0]), float(row[1]), orjson.loads(row[2]), *row[3:]) for row in rows]


def resolve_context(context: Sequence[ProductReference]) -> tuple[list[ProductReference], list[int]]:
    """Return each reference with both ids, or one id if the product is not sold, and the ids of all that exist.

    Raises InvalidRequest for two ids that do not belong to the same product.
    """
    ids, external_ids = arrays(context)
    rows = postgres.run_prepared(CONTEXT, context=ids, context_external=external_ids)
    resolved: list[ProductReference] = []
    known: list[int] = []
    for requested, (by_id, by_external_id, external_id, is_active) in zip(context, rows, strict=True):
        if None not in requested and by_id != by_external_id:
            raise contradiction(*requested)
        product_id = by_id or by_external_id
        if product_id is not None:
            known.append(int(product_id))
        resolved.append(ProductReference(int(product_id), external_id) if is_active else requested)
    return resolved, known
