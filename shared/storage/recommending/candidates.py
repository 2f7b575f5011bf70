"""What may be recommended to one user, and everything that ranking it needs, in one statement."""

from dataclasses import dataclass
from typing import Final

import orjson

from shared.clients import postgres
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS, price_band
from shared.domain.ranking import Candidate, Taste
from shared.domain.rules import Rule
from shared.settings import settings

CANDIDATES_BY_PROFILE: Final = 100
CANDIDATES_BY_TASTE: Final = 40
# Filters and limits are written into the statement, not given as parameters: its plan is then as good prepared as new,
# and planning it anew costs more than running it.
LIMITS: Final = (20, 100)

# One round trip: the active model's parameters, the profile, the summed neighbours, the taste, what is trending.
# The serving formula's constants come from the model; the defaults here are for a model that says nothing.
_CANDIDATES: Final = """
WITH RECURSIVE model AS MATERIALIZED (
    SELECT version,
           least(200, coalesce((parameters #>> '{{serving,profile_events}}')::int, :profile_events)) AS profile_events,
           coalesce((parameters #>> '{{serving,rank_decay}}')::float8, 1.0) AS rank_decay,
           (parameters #>> '{{serving,half_life_days}}')::float8 AS half_life_days,
           coalesce((parameters #>> '{{serving,blend}}')::float8, 0.6) AS blend,
           coalesce((parameters #>> '{{serving,trending_prior}}')::float8, 0.0) AS trending_prior,
           coalesce(parameters #>> '{{serving,trending_window}}', '7d') AS trending_window,
           coalesce((parameters #>> '{{serving,affinity_trend}}')::float8, 1.0) AS affinity_trend,
           coalesce((parameters #>> '{{serving,weight_power}}')::float8, 1.0) AS weight_power,
           coalesce((parameters #>> '{{serving,frequency_power}}')::float8, 0.0) AS frequency_power,
           coalesce((parameters #>> '{{serving,repeat_weight}}')::float8, 0.0) AS repeat_weight,
           coalesce(parameters #>> '{{serving,returning}}', 'unbought') AS may_return
    FROM (SELECT version, parameters FROM models WHERE active
          UNION ALL SELECT NULL, '{{}}'::jsonb ORDER BY version LIMIT 1) AS m
), subtree AS (
    SELECT id FROM categories WHERE id = cast(:category_id AS bigint)
    UNION SELECT c.id FROM categories c JOIN subtree s ON c.parent_id = s.id
), account AS MATERIALIZED (
    SELECT id, latitude, longitude FROM users WHERE external_id = :user_id
), recent AS MATERIALIZED (
    (SELECT e.product_id, e.event_type, e.occurred_at FROM events e
     WHERE e.user_id = (SELECT id FROM account) AND e.product_id IS NOT NULL
     ORDER BY e.occurred_at DESC LIMIT (SELECT profile_events FROM model))
    UNION ALL
    -- what is looked at right now comes before what is stored
    SELECT p.id, 'view', now() + (200 - c.place) * interval '1 microsecond'
    FROM unnest(cast(:context AS bigint[])) WITH ORDINALITY AS c(id, place) JOIN products p USING (id)
), profile AS MATERIALIZED (
    SELECT product_id, kind, at,
           power(weight, weight_power) * power(times, frequency_power) * power(rank_decay, least(rank, 500) - 1)
                  * CASE WHEN half_life_days IS NULL THEN 1
                         ELSE power(2::float8, -least(extract(epoch FROM newest - at)::float8
                                                      / 86400 / half_life_days, 200)) END AS weight
    FROM (SELECT product_id, max(occurred_at) AS at, max(w.weight) AS weight, count(*)::float8 AS times,
                 (array_agg(event_type ORDER BY w.weight DESC))[1] AS kind,
                 row_number() OVER (ORDER BY max(occurred_at) DESC, product_id) AS rank,
                 max(max(occurred_at)) OVER () AS newest
          FROM recent
          JOIN unnest(cast(:event_types AS text[]), cast(:weights AS float8[])) AS w(event_type, weight)
              USING (event_type)
          WHERE w.weight > 0 GROUP BY product_id) AS seen, model
), excluded AS MATERIALIZED (
    SELECT unnest(cast(:exclude AS bigint[])) AS product_id
    UNION SELECT ruled_out.id FROM excluded_by_rules() AS ruled_out(id)
    UNION SELECT unnest(cast(:context AS bigint[])) WHERE (SELECT may_return FROM model) = 'unseen'
    UNION SELECT product_id FROM user_purchases
    WHERE user_id = (SELECT id FROM account) AND (SELECT may_return FROM model) <> 'all'
    UNION SELECT product_id FROM (
        SELECT product_id FROM events
        WHERE user_id = (SELECT id FROM account) AND product_id IS NOT NULL
          AND (SELECT may_return FROM model) = 'unseen'
        ORDER BY occurred_at DESC LIMIT 1000) AS met
), taste AS MATERIALIZED (
    SELECT kind, key, score
        * power(2::float8, -least(extract(epoch FROM now() - as_of)::float8 / :half_life_s, :max_halvings)) AS score
    FROM user_preferences WHERE user_id = (SELECT id FROM account)
), favourites AS MATERIALIZED (
    SELECT key::bigint AS category_id FROM taste WHERE kind = 'category' ORDER BY score DESC LIMIT 3
), summed AS MATERIALIZED (
    SELECT id, cf
    FROM (SELECT id, sum(cf) AS cf
          FROM (SELECT unnest(s.neighbours) AS id, profile.weight * unnest(s.scores) AS cf
                FROM profile
                JOIN item_similarity s ON s.version = (SELECT version FROM model) AND s.product_id = profile.product_id
                UNION ALL
                SELECT product_id, weight * repeat_weight FROM profile, model WHERE repeat_weight > 0) AS told
          GROUP BY id) AS whole
    WHERE whole.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY cf DESC, id LIMIT {summed}
), liked AS MATERIALIZED (
    SELECT best.product_id AS id
    FROM favourites, LATERAL (
        SELECT t.product_id, t.score FROM trending_scores t
        WHERE t.time_window = '30d' AND t.category_id = favourites.category_id
          AND t.product_id NOT IN (SELECT product_id FROM excluded)
        ORDER BY t.score DESC, t.product_id LIMIT {liked}) AS best
    ORDER BY best.score DESC, best.product_id LIMIT {liked}
), trending AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY t.score DESC, p.id) AS place
    FROM trending_scores t JOIN products p ON p.id = t.product_id
    WHERE t.time_window = (SELECT CASE trending_window WHEN 'all' THEN '7d' ELSE trending_window END FROM model)
      AND p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY t.score DESC, p.id LIMIT {k}
), bought AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY t.purchase_count DESC, t.product_id) AS place
    FROM product_stats t JOIN products p ON p.id = t.product_id
    WHERE p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY t.purchase_count DESC, t.product_id LIMIT {k}
), newest AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY p.id DESC) AS place
    FROM products p
    WHERE p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY p.id DESC LIMIT {k}
), merged AS MATERIALIZED (
    SELECT id, max(cf) AS cf, min(tier) AS tier, (array_agg(place ORDER BY tier))[1] AS place
    FROM (SELECT id, cf, 0 AS tier, 0::bigint AS place FROM summed
          UNION ALL SELECT id, 0, 0, 0 FROM liked
          UNION ALL SELECT id, 0, 1, place FROM trending
          UNION ALL SELECT id, 0, 2, place FROM bought
          UNION ALL SELECT id, 0, 3, place FROM newest) AS chosen
    GROUP BY id
)
SELECT json_build_object(
    'version', model.version, 'blend', model.blend, 'trending_prior', model.trending_prior,
    'affinity_trend', model.affinity_trend,
    'category_known', cast(:category_id AS bigint) IS NULL OR EXISTS (SELECT FROM subtree),
    'profile', (SELECT coalesce(json_agg(json_build_array(product_id, weight, kind)), '[]') FROM profile),
    'taste', (SELECT coalesce(json_agg(json_build_array(kind, key, score)), '[]') FROM taste),
    'rules', (SELECT coalesce(json_agg(json_build_array(
            r.id, r.kind, r.product_id, r.categories, r.brand, r.tag, r.price_min, r.price_max, r.factor, r.position,
            r.note, p.id IS NOT NULL) ORDER BY r.id), '[]')
        FROM active_rules r LEFT JOIN products p
            ON r.kind = 'pin' AND p.id = r.product_id AND p.is_active {in_stock} {in_category}
               AND p.id <> ALL (cast(:exclude AS bigint[])) AND p.id NOT IN (SELECT excluded_by_rules())
        WHERE r.kind <> 'exclude'),
    'price', (SELECT json_build_array(weight, log_sum, square_sum) FROM user_price_bands
              WHERE user_id = (SELECT id FROM account)),
    'place', (SELECT json_build_array(latitude, longitude) FROM account WHERE latitude IS NOT NULL),
    'candidates', (SELECT coalesce(json_agg(json_build_array(
            m.id, m.cf,
            coalesce(CASE trending_window
                     WHEN 'all' THEN (SELECT purchase_count FROM product_stats t WHERE t.product_id = m.id)
                     ELSE (SELECT score FROM trending_scores t
                           WHERE t.time_window = trending_window AND t.product_id = m.id) END, 0),
            p.category_id, p.brand, p.tags, p.price, p.quantity > 0,
            p.latitude, p.longitude, m.tier, m.place)), '[]')
        FROM merged m JOIN products p ON p.id = m.id
        WHERE p.is_active {in_stock} {in_category})
)::text FROM model
"""


def _candidates(category: bool, in_stock: bool, k: int) -> str:
    return _CANDIDATES.format(
        in_category="AND p.category_id IN (SELECT id FROM subtree)" if category else "",
        in_stock="AND p.quantity > 0" if in_stock else "",
        # few are dropped afterwards, unless by their category or their stock
        summed="ALL" if category or in_stock else CANDIDATES_BY_PROFILE + k,
        liked=(CANDIDATES_BY_TASTE + k) * (4 if category or in_stock else 1),
        k=k,
    )


CANDIDATES: Final = {
    (category, in_stock, k): _candidates(category, in_stock, k)
    for category in (False, True)
    for in_stock in (False, True)
    for k in LIMITS
}


@dataclass(frozen=True)
class Found:
    """All that ranking for one user needs."""

    version: int | None
    blend: float
    trending_prior: float
    affinity_trend: float
    category_known: bool
    profile: list[tuple[int, float, str]]
    taste: Taste
    candidates: list[Candidate]
    rules: list[Rule]
    # where the user said they are
    place: tuple[float, float] | None


def candidates(
    user_id: str,
    *,
    k: int,
    category_id: int | None = None,
    exclude: list[int] | None = None,
    in_stock: bool = False,
    context: list[int] | None = None,
) -> Found:
    """Read the active model, the user's profile and taste, the rules, and the candidates that pass the filters.

    ``context`` are products looked at right now, newest first: they count as views made just now.
    """
    statement = CANDIDATES[category_id is not None, in_stock, next(limit for limit in LIMITS if k <= limit)]
    (row,) = postgres.run_prepared(
        statement,
        user_id=user_id,
        category_id=category_id,
        exclude=exclude or [],
        context=context or [],
        profile_events=settings().profile_events,
        event_types=[event_type.value for event_type in EVENT_WEIGHTS],
        weights=list(EVENT_WEIGHTS.values()),
        half_life_s=HALF_LIFE.total_seconds(),
        max_halvings=MAX_HALVINGS,
    )
    found = orjson.loads(row[0])
    scores: dict[str, dict[str, float]] = {}
    for kind, key, score in found["taste"]:
        scores.setdefault(kind, {})[key] = score
    return Found(
        version=found["version"],
        blend=found["blend"],
        trending_prior=found["trending_prior"],
        affinity_trend=found["affinity_trend"],
        category_known=found["category_known"],
        profile=[(product_id, weight, kind) for product_id, weight, kind in found["profile"]],
        taste=Taste(scores, price_band(*found["price"]) if found["price"] else None),
        candidates=[Candidate._make(columns) for columns in found["candidates"]],
        rules=[Rule(*columns) for columns in found["rules"]],
        place=tuple(found["place"]) if found["place"] else None,
    )
