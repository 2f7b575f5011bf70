"""The SQL fragments from which candidate_statements.py builds its statements.

It fills in the names in braces. CANDIDATES is the frame; the others are parts of it that some requests need.
"""

from typing import Final

# What each product in the profile adds to the collaborative score of each candidate.
CONTRIBUTIONS: Final = """SELECT {source}unnest(s.neighbours) AS id, profile.weight * unnest(s.scores) AS cf
                FROM profile
                JOIN item_similarity s ON s.version = (SELECT version FROM model) AND s.product_id = profile.product_id
                UNION ALL
                SELECT {source}product_id, weight * repeat_weight FROM profile, model WHERE repeat_weight > 0"""

# One round trip reads the active model's formula, the profile, the sums over its neighbours, the taste and the trends.
CANDIDATES: Final = """
WITH RECURSIVE model AS MATERIALIZED (
    SELECT version, algorithm, serving,
           {parameters}
    FROM (SELECT version, algorithm, coalesce({serving}) AS serving FROM models WHERE active
          UNION ALL SELECT NULL, NULL, NULL ORDER BY version LIMIT 1) AS m
), {subtree}, account AS MATERIALIZED (
    SELECT id, latitude, longitude FROM users WHERE external_id = :user_id
), named AS MATERIALIZED (
    -- the products of the request's context, by our id, by the shop's, or by both
    SELECT c.id, c.external_id, c.position, i.id AS by_id, e.id AS by_external_id
    FROM unnest(cast(:context AS bigint[]), cast(:context_external AS text[]))
        WITH ORDINALITY AS c(id, external_id, position)
    LEFT JOIN products i ON i.id = c.id LEFT JOIN products e ON e.external_id = c.external_id
), in_view AS MATERIALIZED (
    -- products in view right now are newer than all stored events; their order is kept
    SELECT coalesce(by_id, by_external_id) AS product_id,
            now() + ({profile_events_max} - min(position)) * interval '1 microsecond' AS occurred_at
    FROM named WHERE coalesce(by_id, by_external_id) IS NOT NULL GROUP BY 1
), {given_back_whole}, recent AS MATERIALIZED (
    (SELECT e.product_id, e.event_type, e.occurred_at FROM events e
     WHERE e.user_id = (SELECT id FROM account) AND e.product_id IS NOT NULL
       AND (e.event_type <> 'purchase'
            OR (e.product_id, e.occurred_at) NOT IN (SELECT product_id, occurred_at FROM given_back_whole))
     ORDER BY e.occurred_at DESC LIMIT (SELECT profile_events FROM model))
    UNION ALL SELECT product_id, 'view', occurred_at FROM in_view
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
), barred AS MATERIALIZED (
    SELECT unnest(cast(:exclude AS bigint[])) AS product_id
    UNION SELECT id FROM products WHERE external_id = ANY (cast(:exclude_external AS text[]))
), forbidden AS MATERIALIZED (
    SELECT product_id FROM barred
    UNION SELECT ruled_out.id FROM excluded_by_rules((SELECT id FROM account)) AS ruled_out(id)
    -- the other variants of what the request names
    UNION SELECT v.id
    FROM (SELECT product_id FROM barred UNION SELECT product_id FROM in_view) AS n
    JOIN products p ON p.id = n.product_id {variants}
){known}, preferences AS MATERIALIZED (
    SELECT kind, key, score
        * power(2::float8, -least(extract(epoch FROM now() - as_of)::float8 / :half_life_s, :max_halvings)) AS score
    FROM user_preferences WHERE user_id = (SELECT id FROM account)
), favourites AS MATERIALIZED (
    SELECT key::bigint AS category_id FROM preferences WHERE kind = 'category'
    ORDER BY score DESC LIMIT {favourite_categories}
), profile_taste AS MATERIALIZED (
    SELECT facet.kind, facet.key, sum(profile.weight) AS score
    FROM profile JOIN products p ON p.id = profile.product_id, {facets}
    WHERE (SELECT taste FROM model) = 'profile' GROUP BY 1, 2
), summed AS MATERIALIZED (
    SELECT id, cf
    FROM (SELECT id, sum(cf) AS cf
          FROM ({contributions}) AS contributions
          GROUP BY id) AS totals
    WHERE {may_return}
    ORDER BY cf DESC, id LIMIT {summed}
){fillers}, found AS MATERIALIZED (
    SELECT m.id, m.cf, m.tier, m.position, p.category_id, p.further_category_ids, p.brand, p.tags, p.price, p.quantity,
           p.is_active, p.latitude, p.longitude, p.item_group_id, discount_of(p.price, p.list_price) AS discount
    FROM (SELECT id, max(cf) AS cf, min(tier) AS tier, (array_agg(position ORDER BY tier))[1] AS position
          FROM (SELECT id, cf, {suggested_tier} AS tier, 0::bigint AS position FROM summed
                {filled}) AS each
          GROUP BY id) AS m JOIN products p ON p.id = m.id
), shown AS MATERIALIZED (
    SELECT p.id, p.cf, p.tier, p.position, p.category_id, p.brand, p.tags, p.price, p.quantity > 0 AS in_stock,
           p.latitude, p.longitude, p.item_group_id, p.discount
    FROM found p WHERE p.is_active {in_stock} {in_category}{in_stead}
){returned}{left_out}
SELECT json_build_object({explanation}
    'version', model.version, 'algorithm', model.algorithm, 'serving', model.serving,
    'category_known', cast(:category_id AS bigint) IS NULL AND cast(:category AS text) IS NULL
        OR EXISTS (SELECT FROM subtree),
    'contradiction', (SELECT json_build_array(id, external_id) FROM named
                      WHERE id > 0 AND external_id <> '' AND by_id IS DISTINCT FROM by_external_id LIMIT 1),
    'profile', (SELECT coalesce(json_agg(json_build_array(product_id, weight, kind)), '[]') FROM profile),
    'taste', (SELECT coalesce(json_agg(json_build_array(kind, key, score)), '[]')
              FROM (SELECT kind, key, score FROM preferences WHERE (SELECT taste FROM model) = 'preferences'
                    UNION ALL SELECT kind, key, score FROM profile_taste) AS tastes),
    'rules', (SELECT coalesce(json_agg(json_build_array(
            r.id, r.kind, r.product_id, r.categories, r.brand, r.tag, r.price_min, r.price_max, r.factor, r.position,
            r.note, p.id IS NOT NULL, p.item_group_id, r.discount_min) ORDER BY r.id), '[]')
        FROM current_rules r LEFT JOIN products p
            ON r.kind = 'pin' AND p.id = r.product_id AND p.is_active {in_stock} {in_category}
               AND p.id NOT IN (SELECT product_id FROM forbidden)
        WHERE r.kind <> 'exclude'
          AND (r.segment_id IS NULL
               OR r.segment_id = (SELECT segment_id FROM user_segments WHERE user_id = (SELECT id FROM account)))),
    'price', CASE model.taste
             WHEN 'profile' THEN (
                 SELECT json_build_array(sum(profile.weight), sum(profile.weight * ln(p.price::float8)),
                                         sum(profile.weight * ln(p.price::float8) ^ 2))
                 FROM profile JOIN products p ON p.id = profile.product_id WHERE p.price > 0 HAVING count(*) > 0)
             ELSE (SELECT json_build_array(weight, log_sum, square_sum) FROM user_price_bands
                   WHERE user_id = (SELECT id FROM account)) END,
    'location', (SELECT json_build_array(latitude, longitude) FROM account WHERE latitude IS NOT NULL),
    'candidates', (SELECT coalesce(json_agg(json_build_array(
            c.id, c.cf,
            coalesce(CASE trending_window
                     WHEN 'all' THEN (SELECT purchase_count FROM product_stats t WHERE t.product_id = c.id)
                     WHEN 'engagement' THEN (SELECT {view_weight} * views + {purchase_weight} * purchase_count
                                             FROM product_stats t WHERE t.product_id = c.id)
                     ELSE (SELECT score FROM trending_scores t
                           WHERE t.time_window = trending_window AND t.product_id = c.id) END, 0),
            c.category_id, c.brand, c.tags, c.price, c.in_stock, c.latitude, c.longitude, c.tier, c.position,
            c.item_group_id, c.discount,
            CASE WHEN popularity_discount > 0 OR lasting_discount > 0
                 THEN coalesce((SELECT purchase_count FROM product_stats t WHERE t.product_id = c.id), 0)
                 ELSE 0 END)), '[]')
        FROM {candidates} AS c)
)::text FROM model
"""


# Candidates that need no model: content neighbours, if the model knows no product in the profile (a new shop has no
# model, and a new product no neighbours); trending products in favourite categories; then fillers for everybody.
FILLERS: Final = """, alike AS MATERIALIZED (
    SELECT near.id, sum(heaviest.weight * near.score) AS cf
    FROM (SELECT product_id, weight FROM profile ORDER BY weight DESC, product_id LIMIT {profile_products}) AS heaviest
    JOIN product_content own USING (product_id), LATERAL (
        SELECT c.product_id AS id, 1 - (c.embedding <=> own.embedding) AS score
        FROM product_content c ORDER BY c.embedding <=> own.embedding LIMIT {content_neighbours}) AS near
    WHERE NOT EXISTS (SELECT FROM profile m JOIN item_similarity s
                      ON s.version = (SELECT version FROM model) AND s.product_id = m.product_id)
      AND near.score >= {clear_content} AND near.id <> heaviest.product_id
      AND near.id NOT IN (SELECT product_id FROM excluded)
      -- no variants of it; looked up one by one, since a join would read all products of a large shop
      AND NOT coalesce((SELECT item_group_id FROM products WHERE id = near.id)
                       = (SELECT item_group_id FROM products WHERE id = heaviest.product_id), false)
    GROUP BY near.id
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
    WHERE t.time_window = (SELECT CASE WHEN trending_window IN ({scored_windows}) THEN trending_window
                                       ELSE '{filler_window}' END FROM model)
      AND p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
      AND (p.item_group_id IS NULL OR NOT EXISTS (
          SELECT FROM products v JOIN trending_scores o ON o.time_window = t.time_window AND o.product_id = v.id
          WHERE (o.score, -v.id) > (t.score, -p.id) AND {better_variant}))
    ORDER BY t.score DESC, p.id LIMIT {k}
), bought AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY t.purchase_count DESC, t.product_id) AS position
    FROM product_stats t JOIN products p ON p.id = t.product_id
    WHERE t.purchase_count > 0 AND p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
      AND (p.item_group_id IS NULL OR NOT EXISTS (
          SELECT FROM products v JOIN product_stats o ON o.product_id = v.id
          WHERE (o.purchase_count, -v.id) > (t.purchase_count, -p.id) AND {better_variant}))
    ORDER BY t.purchase_count DESC, t.product_id LIMIT {k}
), newest AS MATERIALIZED (
    SELECT p.id, row_number() OVER (ORDER BY p.id DESC) AS position
    FROM products p
    WHERE p.is_active {in_stock} {in_category}
      AND p.id NOT IN (SELECT product_id FROM excluded)
      AND (p.item_group_id IS NULL OR NOT EXISTS (
          SELECT FROM products v WHERE v.id > p.id AND {better_variant}))
    ORDER BY p.id DESC LIMIT {k}
)"""
FILLED: Final = """UNION ALL SELECT id, cf, {suggested_tier}, 0 FROM alike
                UNION ALL SELECT id, 0, {suggested_tier}, 0 FROM liked
                UNION ALL SELECT id, 0, {trending_tier}, position FROM trending
                UNION ALL SELECT id, 0, {popular_tier}, position FROM bought
                UNION ALL SELECT id, 0, {newest_tier}, position FROM newest"""

# The products that the user has interacted with, and when: all of them if the policy requires it, otherwise those
# viewed recently. And what they bought and did not return.
MET: Final = """, met AS MATERIALIZED (
    SELECT product_id, max(occurred_at) AS at
    FROM (SELECT product_id, occurred_at FROM in_view
          UNION ALL (SELECT product_id, occurred_at FROM events
                     WHERE user_id = (SELECT id FROM account) AND product_id IS NOT NULL{since}
                     ORDER BY occurred_at DESC LIMIT {seen_events_max})) AS latest
    GROUP BY product_id
), {given_back}, purchased AS MATERIALIZED (
    SELECT b.product_id, b.last_at AS at FROM user_purchases b LEFT JOIN given_back USING (product_id)
    WHERE b.user_id = (SELECT id FROM account) AND b.purchase_count > coalesce(given_back.lines, 0)
)"""
SINCE: Final = """
                       AND occurred_at > CASE (SELECT exclusion_policy FROM model)
                                         WHEN '{exclude_seen}' THEN '-infinity'
                                         ELSE now() - interval '{recent_minutes} minutes' END
                       AND (event_type IN ({view_types})
                            OR (SELECT exclusion_policy FROM model) = '{exclude_seen}')"""
EXCLUDED: Final = """, known AS MATERIALIZED (
    SELECT product_id FROM met UNION SELECT product_id FROM purchased
), excluded AS MATERIALIZED (
    SELECT product_id FROM forbidden UNION SELECT product_id FROM known
    UNION SELECT v.id FROM known k JOIN products p ON p.id = k.product_id {variants}
)"""
# The other variants of the product p. In a shop without variants, no product is looked up.
VARIANTS: Final = """JOIN products v ON v.item_group_id = p.item_group_id AND v.id <> p.id
    WHERE v.item_group_id IS NOT NULL
      AND (SELECT EXISTS (SELECT FROM products WHERE item_group_id IS NOT NULL))"""
# Of a product's variants in a list, only the first is a candidate, so that k candidates are k products. This is the
# condition for a variant v that may stand for p.
BETTER_VARIANT: Final = """v.item_group_id = p.item_group_id AND v.is_active {variant_in_stock} {variant_in_category}
            AND v.id NOT IN (SELECT product_id FROM excluded)"""
# The in-stock variants of a sold-out candidate, with its score; ranking keeps one of them.
IN_STEAD: Final = """
    UNION ALL
    SELECT DISTINCT ON (v.id) v.id, f.cf, f.tier, f.position, v.category_id, v.brand, v.tags, v.price, true,
           v.latitude, v.longitude, v.item_group_id, discount_of(v.price, v.list_price)
    FROM found f JOIN products v ON v.item_group_id = f.item_group_id
    WHERE v.item_group_id IS NOT NULL AND (f.quantity = 0 OR NOT f.is_active)
      AND v.is_active AND v.quantity > 0 {variant_in_category}
      AND v.id NOT IN (SELECT product_id FROM excluded) AND v.id NOT IN (SELECT id FROM found)"""
# Known products that fill a list that would otherwise be too short. The others are counted first; if they suffice, this
# part does not run.
RETURNED: Final = """, returned AS MATERIALIZED (
    SELECT id, 0::float8 AS cf, tier, row_number() OVER (ORDER BY place) AS position,
           category_id, brand, tags, price, in_stock, latitude, longitude, item_group_id,
           discount_of(price, list_price) AS discount
    FROM (
        SELECT p.*, p.quantity > 0 AS in_stock, known.tier, row_number() OVER (ORDER BY {order}) AS place,
               row_number() OVER (PARTITION BY {group_of_p}
                                  ORDER BY p.quantity > 0 DESC, {order}) AS variant
        FROM (SELECT product_id, max(tier) AS tier, max(at) AS at
              FROM (SELECT product_id, at, {viewed_tier} AS tier FROM met
                    UNION ALL SELECT product_id, at, {bought_tier} FROM purchased) AS both_kinds
              GROUP BY product_id) AS known JOIN products p ON p.id = known.product_id
        WHERE (SELECT count(DISTINCT {group_of_shown}) FROM shown) < :k
          AND p.is_active {in_stock} {in_category} AND p.id NOT IN (SELECT product_id FROM forbidden)
          AND p.id NOT IN (SELECT id FROM shown)
    ) AS of_variants
    WHERE variant = 1 ORDER BY place LIMIT {k}
)"""
# For explanations: what each product in the profile adds to a candidate's score; and products suggested by profile,
# trend or history that are not candidates, with all reasons.
LEFT_OUT: Final = """, contributed AS MATERIALIZED (
    SELECT source, id, sum(cf) AS cf FROM ({sourced_contributions}) AS c GROUP BY 1, 2
), ruled_out AS MATERIALIZED (
    SELECT ruled.id FROM excluded_by_rules((SELECT id FROM account)) AS ruled(id)
), left_out AS MATERIALIZED (
    SELECT o.id, o.cf, array_remove(ARRAY[
               CASE WHEN p.id IN (SELECT product_id FROM barred) THEN 'excluded' END,
               CASE WHEN p.id IN (SELECT id FROM ruled_out) THEN 'rule' END,
               CASE WHEN NOT p.is_active THEN 'hidden' END,
               {known_reasons}
               {filter_reasons}
               CASE WHEN p.id NOT IN (SELECT product_id FROM barred) AND p.id NOT IN (SELECT id FROM ruled_out)
                     AND p.item_group_id IN (
                         SELECT v.item_group_id FROM products v
                         WHERE v.id <> p.id
                           AND v.id IN (SELECT product_id FROM barred UNION SELECT product_id FROM in_view
                                        {variants_known} UNION SELECT id FROM {candidates})) THEN 'variant' END
           ], NULL) AS reasons
    FROM (SELECT id, sum(cf) AS cf
          FROM (SELECT id, cf FROM contributed
                UNION ALL SELECT product_id, 0 FROM barred
                UNION ALL (SELECT id, 0 FROM ruled_out LIMIT {left_out_max})
                UNION ALL (SELECT product_id, 0 FROM trending_scores
                           WHERE time_window = '{taste_window}' ORDER BY score DESC, product_id LIMIT {k})
                {pool_known}) AS pool
          GROUP BY id) AS o
    JOIN products p ON p.id = o.id
    WHERE o.id NOT IN (SELECT id FROM {candidates})
    ORDER BY o.cf DESC, o.id LIMIT {left_out_max}
)"""
EXPLANATION: Final = """
    'contributed', (SELECT coalesce(json_agg(json_build_array(id, source, cf) ORDER BY id, cf DESC, source), '[]')
                    FROM contributed WHERE id IN (SELECT id FROM {candidates} UNION ALL SELECT id FROM left_out)),
    'left_out', (SELECT coalesce(json_agg(json_build_array(id, cf, reasons) ORDER BY cf DESC, id), '[]')
                 FROM left_out),"""
BOUGHT_OR_VIEWED: Final = """CASE WHEN p.id IN (SELECT product_id FROM purchased) THEN 'bought' END,
               CASE WHEN p.id IN (SELECT product_id FROM met) AND p.id NOT IN (SELECT product_id FROM purchased)
                    THEN 'viewed' END,"""
POOL_KNOWN: Final = """UNION ALL (SELECT product_id, 0 FROM met ORDER BY at DESC, product_id LIMIT {left_out_max})
                UNION ALL (SELECT product_id, 0 FROM purchased ORDER BY at DESC, product_id LIMIT {left_out_max})"""
SHOWN_AND_RETURNED: Final = "(SELECT * FROM shown UNION ALL SELECT * FROM returned)"
