-- Outcomes without purchases that were given back whole, and variants by the rules of a segment:
-- docs/decisions/0050-bad-input-and-net-outcomes.md.

-- As before, without purchases that were given back whole. A purchase that the storefront reports for an answer does not
-- count either where every purchase of the product after that answer was given back.
CREATE OR REPLACE FUNCTION attribution(first date, last date) RETURNS SETOF recommendation_stats LANGUAGE sql STABLE AS $$
    WITH answers AS MATERIALIZED (
        SELECT l.*, (l.at AT TIME ZONE 'UTC')::date AS day FROM recommendation_log l
        WHERE l.at >= first::timestamp AT TIME ZONE 'UTC' AND l.at < (last + 1)::timestamp AT TIME ZONE 'UTC'
    ), shown AS MATERIALIZED (
        SELECT a.id, u.id AS user_id, s.product_id, a.at
        FROM answers a JOIN users u ON u.external_id = a.user_id, unnest(a.product_ids) AS s(product_id)
    ), happened AS MATERIALIZED (
        SELECT DISTINCT ON (e.event_id) s.id, s.product_id, e.event_type AS action,
               e.returned >= e.quantity AS is_given_back
        FROM events e JOIN shown s ON s.user_id = e.user_id AND s.product_id = e.product_id
             AND e.occurred_at >= s.at AND e.occurred_at < s.at + interval '24 hours'
        WHERE e.event_type IN ('purchase', 'add_to_cart')
          AND e.occurred_at >= first::timestamp AT TIME ZONE 'UTC'
          AND e.occurred_at < (last + 2)::timestamp AT TIME ZONE 'UTC'
        ORDER BY e.event_id, s.at DESC, s.id DESC
    ), given_back AS (
        SELECT id, product_id, action FROM happened GROUP BY 1, 2, 3 HAVING bool_and(is_given_back)
    ), acted AS (
        SELECT id, product_id, action FROM happened WHERE NOT is_given_back
        UNION
        (SELECT f.recommendation_id, f.product_id, f.action
         FROM recommendation_feedback f JOIN answers a ON a.id = f.recommendation_id
         EXCEPT SELECT * FROM given_back)
    ), counted AS (
        SELECT id, count(*) FILTER (WHERE action = 'impression') AS impressions,
               count(*) FILTER (WHERE action = 'click') AS clicks,
               count(*) FILTER (WHERE action = 'add_to_cart') AS add_to_carts,
               count(*) FILTER (WHERE action = 'purchase') AS purchases
        FROM acted GROUP BY id
    )
    SELECT a.day, a.kind, a.strategy, coalesce(a.model_version, 0), count(*),
           coalesce(sum(c.impressions), 0)::bigint, coalesce(sum(c.clicks), 0)::bigint,
           coalesce(sum(c.add_to_carts), 0)::bigint, coalesce(sum(c.purchases), 0)::bigint,
           count(*) FILTER (WHERE c.purchases > 0)
    FROM answers a LEFT JOIN counted c USING (id) GROUP BY 1, 2, 3, 4
$$;

-- Days, in the shop's time zone, of purchases whose refund took effect since `since`.
CREATE FUNCTION days_given_back(since timestamptz) RETURNS SETOF date LANGUAGE sql STABLE AS $$
    SELECT DISTINCT shop_day(l.occurred_at) FROM refunds r JOIN purchase_lines l
        ON l.user_id = r.user_id AND l.order_id = r.order_id AND (r.product_id IS NULL OR r.product_id = l.product_id)
    WHERE r.settled_at >= since AND l.returned > 0
$$;
CREATE INDEX refunds_settled ON refunds (settled_at) WHERE settled_at IS NOT NULL;

-- What an answer for one shopper shows of a product whose variants it lists, with the rules of the shopper's segment.
-- NULL is a shopper who is not known.
CREATE FUNCTION variant_in_stock(p products, shopper bigint) RETURNS products LANGUAGE plpgsql STABLE AS $$
DECLARE
    variant products;
BEGIN
    IF p.item_group_id IS NOT NULL AND p.quantity = 0 THEN
        SELECT v.* INTO variant FROM products v LEFT JOIN product_stats s ON s.product_id = v.id
        WHERE v.item_group_id = p.item_group_id AND v.is_active AND v.quantity > 0
          AND v.id NOT IN (SELECT excluded_by_rules(shopper))
        ORDER BY s.purchase_count DESC NULLS LAST, v.id LIMIT 1;
        IF variant.id IS NOT NULL THEN
            RETURN variant;
        END IF;
    END IF;
    RETURN p;
END $$;
