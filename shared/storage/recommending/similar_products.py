"""Similar products: the active model's neighbours, blended with those that have similar descriptions.

``content.py`` computes the embeddings after products are written.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.content import CONTENT_SHARE_MIN, ELSEWHERE, EVENTS_PRIOR, EVIDENCE_PRIOR, LEAST_CONTENT
from shared.domain.product_references import ProductReference
from shared.storage.catalog.variants import GROUP_KEY
from shared.storage.recommending.attribution import NO_SHOPPER, SHOPPER, LoggedAnswer, logged

# What similarity is based on: both behaviour and descriptions, or only one of them.
Kind = Literal["hybrid", "collaborative", "content"]

# The index returns about 40 content neighbours (hnsw.ef_search).
_SIMILAR: Final = """
WITH target AS MATERIALIZED (
    SELECT id, external_id, name, category_id, item_group_id FROM products
    WHERE is_active AND (id = cast(:product_id AS bigint) OR external_id = cast(:external_id AS text))
      -- both ids are of one product
      AND coalesce(id = cast(:product_id AS bigint), true)
      AND coalesce(external_id = cast(:external_id AS text), true)
),
shopper AS MATERIALIZED ({shopper}),
excluded AS MATERIALIZED (SELECT excluded_by_rules((SELECT id FROM shopper)) AS id),
model AS MATERIALIZED (SELECT version, algorithm FROM models WHERE active),
known AS MATERIALIZED (
    SELECT s.neighbours, s.scores, s.co_occurrence,
           -- neighbours of which no common user is known count a little, too
           (SELECT greatest(sum(c), 1)::float8 FROM unnest(s.co_occurrence) AS c) AS evidence
    FROM item_similarity s
    WHERE s.version = (SELECT version FROM model) AND s.product_id = (SELECT id FROM target)
), own AS MATERIALIZED (
    SELECT embedding FROM product_content WHERE product_id = (SELECT id FROM target)
), alike AS MATERIALIZED (
    SELECT near.id, near.score * {elsewhere} AS score
    FROM (SELECT c.product_id AS id, 1 - (c.embedding <=> (SELECT embedding FROM own)) AS score
          FROM product_content c ORDER BY c.embedding <=> (SELECT embedding FROM own)
          LIMIT cast(:k AS integer) + 20) AS near
    JOIN products p ON p.id = near.id
), chosen AS (
    {chosen}
), merged AS (
    SELECT id, max(score) AS score, min(tier) AS tier,
           (array_agg(source ORDER BY tier, score DESC, source))[1] AS source
    FROM chosen
    WHERE id NOT IN (SELECT id FROM target) AND id NOT IN (SELECT id FROM excluded) AND EXISTS (SELECT FROM target)
    GROUP BY id
), ordered AS (
    SELECT m.score, m.source, p,
           row_number() OVER (
               ORDER BY p.quantity > 0 DESC, m.tier, m.score DESC, t.score DESC NULLS LAST, m.id) AS place
    FROM merged m JOIN products p ON p.id = m.id
    LEFT JOIN trending_scores t ON t.time_window = '30d' AND t.product_id = m.id
    WHERE p.is_active
      AND (p.item_group_id IS NULL OR p.item_group_id IS DISTINCT FROM (SELECT item_group_id FROM target))
), of_variants AS (
    -- a product stands where its best variant stands, and shows the best in stock
    SELECT *, min(place) OVER same AS group_place,
           row_number() OVER (same ORDER BY (p).quantity > 0 DESC, place) AS variant
    FROM ordered WINDOW same AS (PARTITION BY {group})
), best AS MATERIALIZED (
    SELECT (p).id, p, score, source, place
    FROM (SELECT variant_in_stock(p, (SELECT id FROM shopper)) AS p, score, source, group_place AS place
          FROM of_variants WHERE variant = 1 ORDER BY group_place LIMIT :k) AS first
){logged}
SELECT product_json(b.p, c, s)::text, b.score, b.source, target.id, target.external_id, target.name,
       (SELECT algorithm FROM model),
       coalesce((SELECT n.common FROM known, unnest(known.neighbours, known.co_occurrence) AS n(id, common)
                 WHERE n.id = b.id), 0)
FROM target, best b LEFT JOIN categories c ON c.id = (b.p).category_id
LEFT JOIN product_stats s ON s.product_id = b.id
ORDER BY b.place
"""
_COLLABORATIVE: Final = """SELECT n.id, n.score::float8 AS score, 0 AS tier, 'collaborative' AS source
    FROM known, unnest(known.neighbours, known.scores) AS n(id, score)"""
# shared/domain/content.py has the formula
_SPECIFIC: Final = """SELECT id, content,
               behaviour * coalesce(specificity / nullif(max(specificity) OVER (), 0), 1) AS behaviour
        FROM (SELECT n.id, n.score::float8 AS behaviour,
                     n.users / (coalesce(s.views + s.purchase_count, 0) + cast(:events_prior AS float8)) AS specificity,
                     (1 - (c.embedding <=> (SELECT embedding FROM own))) * {elsewhere} AS content
              FROM known, unnest(known.neighbours, known.scores, known.co_occurrence) AS n(id, score, users)
              LEFT JOIN product_stats s ON s.product_id = n.id
              LEFT JOIN product_content c ON c.product_id = n.id
              LEFT JOIN products p ON p.id = n.id) AS neighbour"""
_HYBRID: Final = f"""SELECT id, by_behaviour + by_content AS score, 0 AS tier,
           CASE WHEN by_behaviour >= by_content THEN 'collaborative' ELSE 'content' END AS source
    FROM (SELECT id, (1 - share) * max(behaviour) AS by_behaviour,
                 share * max(CASE WHEN content >= cast(:least AS float8) THEN content ELSE 0 END) AS by_content
          FROM ({_SPECIFIC}
                UNION ALL SELECT id, score, 0 FROM alike) AS each,
               (SELECT greatest(cast(:prior AS float8)
                                / (cast(:prior AS float8) + coalesce((SELECT evidence FROM known), 0)),
                                cast(:share_min AS float8)) AS share) AS of_content
          GROUP BY id, share) AS mixed
    WHERE by_behaviour + by_content > 0"""
_CONTENT: Final = """SELECT id, score, 0 AS tier, 'content' AS source
    FROM alike WHERE score >= cast(:least AS float8)"""
# The factor for products in a different category than the target, if both have one.
_ELSEWHERE: Final = """CASE WHEN p.category_id <> (SELECT category_id FROM target)
                                                      THEN cast(:elsewhere AS float8) ELSE 1 END"""
_TRENDING: Final = """(SELECT t.product_id, 0, 1, 'trending'
     FROM trending_scores t JOIN products p ON p.id = t.product_id, target
     -- an index has a category's trend in order; the product's category may have changed since the last hour
     WHERE t.time_window = '30d' AND t.category_id = (SELECT category_id FROM target) AND p.category_id = t.category_id
       AND p.is_active
       AND p.id NOT IN (SELECT id FROM excluded)
       AND (p.item_group_id IS NULL OR p.item_group_id IS DISTINCT FROM target.item_group_id AND NOT EXISTS (
           SELECT FROM products v JOIN trending_scores o ON o.time_window = '30d' AND o.product_id = v.id
           WHERE v.item_group_id = p.item_group_id AND v.is_active AND v.category_id = p.category_id
             AND v.id NOT IN (SELECT id FROM excluded) AND (o.score, -v.id) > (t.score, -p.id)))
     ORDER BY t.score DESC LIMIT cast(:k AS integer) + 1)"""
# Trending products of the category fill the list if behaviour and descriptions do not yield enough.
_CHOSEN: Final[Mapping[Kind, str]] = {
    "hybrid": f"{_HYBRID}\n    UNION ALL {_TRENDING}",
    "collaborative": _COLLABORATIVE,
    "content": _CONTENT,
}
# The statement itself reads the model version, along with its neighbours.
_LOGGED: Final = ", " + logged("ARRAY(SELECT id FROM best ORDER BY place)", version="(SELECT version FROM model)")
# Keyed by kind, and by whether the answer is logged.
SIMILAR: Final = {
    (kind, is_logged): _SIMILAR.replace("{group}", GROUP_KEY.format(alias="(p)"))
    .replace("{chosen}", chosen)
    .replace("{elsewhere}", _ELSEWHERE)
    .replace("{shopper}", SHOPPER if is_logged else NO_SHOPPER)
    .replace("{logged}", _LOGGED if is_logged else "")
    for kind, chosen in _CHOSEN.items()
    for is_logged in (False, True)
}


class Neighbour(NamedTuple):
    """A similar product.

    score : in [0, 1]. source : whether it is suggested by behaviour, by descriptions or by the trend of its category.
    target_id, target_external_id, name : of the requested product.
    algorithm : of the active model; None if there is none.
    co_occurrence : the number of users, or sessions, with both products; 0 if the model does not have it.
    """

    product: dict[str, Any]
    score: float
    source: Literal["collaborative", "content", "trending"]
    target_id: int
    target_external_id: str
    name: str
    algorithm: str | None
    co_occurrence: int


def similar(
    target: ProductReference, k: int, log: LoggedAnswer | None = None, *, kind: Kind = "hybrid"
) -> list[Neighbour]:
    """Return the ``k`` most similar products, best first.

    With ``log``, the same statement logs the answer. The list is empty if there is no such product, or if its two ids
    belong to different products.
    """
    parameters: dict[str, Any] = {**target._asdict(), "k": k, "elsewhere": ELSEWHERE}
    if kind != "collaborative":
        parameters["least"] = LEAST_CONTENT
    if kind == "hybrid":
        parameters |= {"prior": EVIDENCE_PRIOR, "share_min": CONTENT_SHARE_MIN, "events_prior": EVENTS_PRIOR}
    if log is not None:
        parameters |= log.parameters_without_version()
    rows = postgres.run_prepared(SIMILAR[kind, log is not None], **parameters)
    return [Neighbour(orjson.loads(row[0]), float(row[1]), *row[2:]) for row in rows]
