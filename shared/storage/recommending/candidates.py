"""Reads the candidates of one user, and everything that ranking them needs, in one statement.

The formula that the statement computes, its limits and its constants are those of shared/domain/formula.py.
"""

from dataclasses import dataclass, fields
from typing import Final

import orjson

from shared.clients import postgres
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.formula import (
    CANDIDATES_BY_PROFILE,
    CANDIDATES_BY_TASTE,
    EXCLUSION_POLICY_KEY,
    FAVOURITE_CATEGORIES,
    FILLER_WINDOW,
    HALVINGS_MAX,
    NEWEST_TIER,
    POPULAR_TIER,
    PROFILE_EVENTS_MAX,
    RANK_MAX,
    SEEN_EVENTS_MAX,
    STORED_EXCLUSION_POLICY,
    SUGGESTED_TIER,
    TASTE_WINDOW,
    TRENDING_TIER,
    Formula,
)
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS, price_band
from shared.domain.ranking import Candidate, TasteProfile
from shared.domain.rules import Rule
from shared.settings import settings
from shared.storage.catalog.categories import SUBTREE

# Answers of up to so many products have a statement each. Filters and limits are part of its text rather than
# parameters: its plan is then as good prepared as new, and planning takes longer than running.
ANSWER_SIZES: Final = (20, 100)
# Filters drop most candidates of a taste's categories after they were chosen, so this many times as many are read.
FILTERED_CANDIDATES_FACTOR: Final = 4


def _parameter_columns() -> str:
    """Return the columns of the active model's formula, with the defaults of parameters that the model does not give.

    The exclusion policy keeps its stored value.
    """
    defaults = Formula().parameters()
    columns = []
    for parameter in fields(Formula):
        key = EXCLUSION_POLICY_KEY if parameter.name == "exclusion_policy" else parameter.name
        stored, default = f"parameters #>> '{{serving,{key}}}'", defaults[key]
        if parameter.name == "profile_events":
            # the shop's own setting is the default
            column = f"least({PROFILE_EVENTS_MAX}, coalesce(({stored})::int, :profile_events))"
        elif isinstance(default, str):
            column = f"coalesce({stored}, '{default}')"
        else:
            column = f"coalesce(({stored})::float8, {'NULL' if default is None else default})"
        columns.append(f"{column} AS {parameter.name}")
    return ",\n           ".join(columns)


# One round trip reads the active model's formula, the profile, the sums over its neighbours, the taste and the trends.
_CANDIDATES: Final = """
WITH RECURSIVE model AS MATERIALIZED (
    SELECT version, parameters -> 'serving' AS serving,
           {parameters}
    FROM (SELECT version, parameters FROM models WHERE active
          UNION ALL SELECT NULL, '{{}}'::jsonb ORDER BY version LIMIT 1) AS m
), {subtree}, account AS MATERIALIZED (
    SELECT id, latitude, longitude FROM users WHERE external_id = :user_id
), recent AS MATERIALIZED (
    (SELECT e.product_id, e.event_type, e.occurred_at FROM events e
     WHERE e.user_id = (SELECT id FROM account) AND e.product_id IS NOT NULL
     ORDER BY e.occurred_at DESC LIMIT (SELECT profile_events FROM model))
    UNION ALL
    -- products in view right now are newer than all stored events; their order is kept
    SELECT p.id, 'view', now() + ({profile_events_max} - c.position) * interval '1 microsecond'
    FROM unnest(cast(:context AS bigint[])) WITH ORDINALITY AS c(id, position) JOIN products p USING (id)
), profile AS MATERIALIZED (
    SELECT product_id, kind, at,
           power(weight, weight_power) * power(event_count, frequency_power)
                  * power(rank_decay, least(rank, {rank_max}) - 1)
                  * CASE WHEN half_life_days IS NULL THEN 1
                         ELSE power(2::float8, -least(extract(epoch FROM newest - at)::float8
                                                      / 86400 / half_life_days, {halvings_max})) END AS weight
    FROM (SELECT product_id, max(occurred_at) AS at, max(w.weight) AS weight, count(*)::float8 AS event_count,
                 (array_agg(event_type ORDER BY w.weight DESC))[1] AS kind,
                 row_number() OVER (ORDER BY max(occurred_at) DESC, product_id) AS rank,
                 max(max(occurred_at)) OVER () AS newest
          FROM recent
          JOIN unnest(cast(:event_types AS text[]), cast(:weights AS float8[])) AS w(event_type, weight)
              USING (event_type)
          WHERE w.weight > 0 GROUP BY product_id) AS products_met, model
), excluded AS MATERIALIZED (
    SELECT unnest(cast(:exclude AS bigint[])) AS product_id
    UNION SELECT ruled_out.id FROM excluded_by_rules() AS ruled_out(id)
    UNION SELECT unnest(cast(:context AS bigint[])) WHERE (SELECT exclusion_policy FROM model) = '{exclude_seen}'
    UNION SELECT product_id FROM user_purchases
    WHERE user_id = (SELECT id FROM account) AND (SELECT exclusion_policy FROM model) <> '{exclude_nothing}'
    UNION SELECT product_id FROM (
        SELECT product_id FROM events
        WHERE user_id = (SELECT id FROM account) AND product_id IS NOT NULL
          AND (SELECT exclusion_policy FROM model) = '{exclude_seen}'
        ORDER BY occurred_at DESC LIMIT {seen_events_max}) AS latest
), taste AS MATERIALIZED (
    SELECT kind, key, score
        * power(2::float8, -least(extract(epoch FROM now() - as_of)::float8 / :half_life_s, :max_halvings)) AS score
    FROM user_preferences WHERE user_id = (SELECT id FROM account)
), favourites AS MATERIALIZED (
    SELECT key::bigint AS category_id FROM taste WHERE kind = 'category'
    ORDER BY score DESC LIMIT {favourite_categories}
), summed AS MATERIALIZED (
    SELECT id, cf
    FROM (SELECT id, sum(cf) AS cf
          FROM (SELECT unnest(s.neighbours) AS id, profile.weight * unnest(s.scores) AS cf
                FROM profile
                JOIN item_similarity s ON s.version = (SELECT version FROM model) AND s.product_id = profile.product_id
                UNION ALL
                SELECT product_id, weight * repeat_weight FROM profile, model WHERE repeat_weight > 0) AS contributions
          GROUP BY id) AS totals
    WHERE totals.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY cf DESC, id LIMIT {summed}
), liked AS MATERIALIZED (
    SELECT best.product_id AS id
    FROM favourites, LATERAL (
        SELECT t.product_id, t.score FROM trending_scores t
        WHERE t.time_window = '{taste_window}' AND t.category_id = favourites.category_id
          AND t.product_id NOT IN (SELECT product_id FROM excluded)
        ORDER BY t.score DESC, t.product_id LIMIT {liked}) AS best
    ORDER BY best.score DESC, best.product_id LIMIT {liked}
), trending AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY t.score DESC, p.id) AS position
    FROM trending_scores t JOIN products p ON p.id = t.product_id
    WHERE t.time_window = (SELECT CASE trending_window WHEN 'all' THEN '{filler_window}' ELSE trending_window END
                           FROM model)
      AND p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY t.score DESC, p.id LIMIT {k}
), bought AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY t.purchase_count DESC, t.product_id) AS position
    FROM product_stats t JOIN products p ON p.id = t.product_id
    WHERE p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY t.purchase_count DESC, t.product_id LIMIT {k}
), newest AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY p.id DESC) AS position
    FROM products p
    WHERE p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
    ORDER BY p.id DESC LIMIT {k}
), merged AS MATERIALIZED (
    SELECT id, max(cf) AS cf, min(tier) AS tier, (array_agg(position ORDER BY tier))[1] AS position
    FROM (SELECT id, cf, {suggested_tier} AS tier, 0::bigint AS position FROM summed
          UNION ALL SELECT id, 0, {suggested_tier}, 0 FROM liked
          UNION ALL SELECT id, 0, {trending_tier}, position FROM trending
          UNION ALL SELECT id, 0, {popular_tier}, position FROM bought
          UNION ALL SELECT id, 0, {newest_tier}, position FROM newest) AS found
    GROUP BY id
)
SELECT json_build_object(
    'version', model.version, 'serving', model.serving,
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
    'location', (SELECT json_build_array(latitude, longitude) FROM account WHERE latitude IS NOT NULL),
    'candidates', (SELECT coalesce(json_agg(json_build_array(
            m.id, m.cf,
            coalesce(CASE trending_window
                     WHEN 'all' THEN (SELECT purchase_count FROM product_stats t WHERE t.product_id = m.id)
                     ELSE (SELECT score FROM trending_scores t
                           WHERE t.time_window = trending_window AND t.product_id = m.id) END, 0),
            p.category_id, p.brand, p.tags, p.price, p.quantity > 0,
            p.latitude, p.longitude, m.tier, m.position)), '[]')
        FROM merged m JOIN products p ON p.id = m.id
        WHERE p.is_active {in_stock} {in_category})
)::text FROM model
"""


def _statement(category: bool, in_stock: bool, k: int) -> str:
    filtered = category or in_stock
    return _CANDIDATES.format(
        parameters=_parameter_columns(),
        subtree=SUBTREE,
        profile_events_max=PROFILE_EVENTS_MAX,
        rank_max=RANK_MAX,
        halvings_max=HALVINGS_MAX,
        seen_events_max=SEEN_EVENTS_MAX,
        exclude_nothing=STORED_EXCLUSION_POLICY["nothing"],
        exclude_seen=STORED_EXCLUSION_POLICY["seen"],
        favourite_categories=FAVOURITE_CATEGORIES,
        suggested_tier=SUGGESTED_TIER,
        trending_tier=TRENDING_TIER,
        popular_tier=POPULAR_TIER,
        newest_tier=NEWEST_TIER,
        taste_window=TASTE_WINDOW,
        filler_window=FILLER_WINDOW,
        in_category="AND p.category_id IN (SELECT id FROM subtree)" if category else "",
        in_stock="AND p.quantity > 0" if in_stock else "",
        # without a filter few of the best are dropped afterwards
        summed="ALL" if filtered else CANDIDATES_BY_PROFILE + k,
        liked=(CANDIDATES_BY_TASTE + k) * (FILTERED_CANDIDATES_FACTOR if filtered else 1),
        k=k,
    )


# by whether the request has a category, whether it restricts to products in stock, and the size of the answer
CANDIDATES: Final = {
    (category, in_stock, k): _statement(category, in_stock, k)
    for category in (False, True)
    for in_stock in (False, True)
    for k in ANSWER_SIZES
}


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of one user, and what ranking and explaining them needs.

    Attributes
    ----------
    version : the active model version; None if there is none.
    formula : the formula of that version, with the defaults of parameters that it does not give.
    category_known : whether the requested category exists; true if none was requested.
    profile : (product id, weight, event type of the greatest weight) of each product of the profile.
    location : latitude and longitude that the account stores.
    """

    version: int | None
    formula: Formula
    category_known: bool
    profile: list[tuple[int, float, str]]
    taste: TasteProfile
    candidates: list[Candidate]
    rules: list[Rule]
    location: tuple[float, float] | None


def read_candidates(
    user_id: str,
    *,
    k: int,
    category_id: int | None = None,
    exclude: list[int] | None = None,
    in_stock: bool = False,
    context: list[int] | None = None,
) -> CandidateSet:
    """Return the candidates that pass the filters, with the active formula, the user's profile and taste, and rules.

    Parameters
    ----------
    k : size of the answer, at most the greatest of ANSWER_SIZES.
    exclude : ids of products that must not be candidates.
    context : ids of products that the user is looking at, newest first; each counts as a view of this moment.
    """
    statement = CANDIDATES[category_id is not None, in_stock, next(size for size in ANSWER_SIZES if k <= size)]
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
    columns = orjson.loads(row[0])
    scores: dict[str, dict[str, float]] = {}
    for kind, key, score in columns["taste"]:
        scores.setdefault(kind, {})[key] = score
    return CandidateSet(
        version=columns["version"],
        formula=Formula.from_parameters(columns["serving"], Formula(profile_events=settings().profile_events)),
        category_known=columns["category_known"],
        profile=[(product_id, weight, event_type) for product_id, weight, event_type in columns["profile"]],
        taste=TasteProfile(scores, price_band(*columns["price"]) if columns["price"] else None),
        candidates=[Candidate._make(candidate) for candidate in columns["candidates"]],
        rules=[Rule(*rule) for rule in columns["rules"]],
        location=tuple(columns["location"]) if columns["location"] else None,
    )
