-- Rules that select products by their discount: docs/kinds.md
ALTER TABLE rules ADD COLUMN discount_min double precision CHECK (discount_min > 0 AND discount_min <= 1);
ALTER TABLE rules DROP CONSTRAINT rules_check;
ALTER TABLE rules ADD CONSTRAINT rules_select_products
    CHECK (num_nonnulls(product_id, category_id, brand, tag, price_min, price_max, discount_min) > 0);

-- The share of the list price by which a product is cheaper; 0 for a product that is not on sale.
CREATE FUNCTION discount_of(price numeric, list_price numeric) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN list_price > price THEN ((list_price - price) / list_price)::float8 ELSE 0 END
$$;

-- All rules in force now; `categories` are the rule's and all below it.
CREATE VIEW current_rules AS
SELECT r.*, CASE WHEN r.category_id IS NOT NULL THEN ARRAY(
    WITH RECURSIVE subtree AS (
        SELECT r.category_id AS id UNION SELECT c.id FROM categories c JOIN subtree s ON c.parent_id = s.id)
    SELECT id FROM subtree) END AS categories
FROM rules r
WHERE r.active AND coalesce(r.starts_at <= now(), true) AND coalesce(r.ends_at > now(), true);

-- Those of the previous release, which knows no discounts.
CREATE OR REPLACE VIEW rules_in_force AS
SELECT id, kind, product_id, category_id, brand, tag, price_min, price_max, factor, position, starts_at, ends_at,
       active, note, created_at, updated_at, segment_id, categories
FROM current_rules WHERE discount_min IS NULL;

-- The products that a rule selects.
CREATE FUNCTION selected_by(r current_rules) RETURNS SETOF bigint LANGUAGE sql STABLE ROWS 10 AS $$
    SELECT p.id FROM products p
    WHERE (r.product_id IS NULL OR p.id = r.product_id)
      AND (r.categories IS NULL OR p.category_id = ANY (r.categories))
      AND (r.brand IS NULL OR p.brand = r.brand)
      AND (r.tag IS NULL OR p.tags @> ARRAY[r.tag])
      AND (r.price_min IS NULL OR p.price >= r.price_min)
      AND (r.price_max IS NULL OR p.price <= r.price_max)
      AND (r.discount_min IS NULL OR discount_of(p.price, p.list_price) >= r.discount_min)
$$;

-- What no recommendation may show. The loops cost a shop without rules nothing.
CREATE OR REPLACE FUNCTION excluded_by_rules() RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 10 AS $$
DECLARE
    r current_rules;
BEGIN
    FOR r IN SELECT * FROM current_rules WHERE kind = 'exclude' AND segment_id IS NULL LOOP
        RETURN QUERY SELECT selected_by(r);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION excluded_by_rules(shopper bigint) RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 10 AS $$
DECLARE
    r current_rules;
BEGIN
    FOR r IN SELECT * FROM current_rules f
             WHERE f.kind = 'exclude'
               AND (f.segment_id IS NULL
                    OR f.segment_id = (SELECT s.segment_id FROM user_segments s WHERE s.user_id = shopper))
    LOOP
        RETURN QUERY SELECT selected_by(r);
    END LOOP;
END $$;
