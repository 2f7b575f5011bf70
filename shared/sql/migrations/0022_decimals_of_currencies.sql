-- Prices have up to three decimals, as currencies such as KWD do. Without a scale of its own a column changes its type
-- without a new copy of the table. The next migration builds the indexes again, with a lock that lets
-- readers pass.
-- docs/decisions/0049-decimals-of-currencies.md

DROP VIEW catalog_variants;
DROP VIEW active_rules;
DROP VIEW rules_in_force;
DROP INDEX products_by_price;
DROP INDEX products_stubs;

ALTER TABLE products
    DROP CONSTRAINT products_price_check,
    DROP CONSTRAINT products_list_price_check,
    ALTER COLUMN price TYPE numeric,
    ALTER COLUMN list_price TYPE numeric;
ALTER TABLE products
    ADD CONSTRAINT products_price_check
        CHECK (price >= 0 AND price < 10000000000 AND price = round(price, 3)) NOT VALID,
    ADD CONSTRAINT products_list_price_check
        CHECK (list_price >= 0 AND list_price < 10000000000 AND list_price = round(list_price, 3)) NOT VALID;
ALTER TABLE cart_items ALTER COLUMN price_when_added TYPE numeric;
ALTER TABLE orders DROP CONSTRAINT orders_total_check, ALTER COLUMN total TYPE numeric;
ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= 0) NOT VALID;
ALTER TABLE order_items ALTER COLUMN price TYPE numeric, ALTER COLUMN price_when_added TYPE numeric;
ALTER TABLE payments ALTER COLUMN amount TYPE numeric;
ALTER TABLE purchase_lines ALTER COLUMN price TYPE numeric;
ALTER TABLE rules ALTER COLUMN price_min TYPE numeric, ALTER COLUMN price_max TYPE numeric;
ALTER TABLE segments ALTER COLUMN revenue TYPE numeric;

-- All rules in force now; `categories` are the rule's and all below it.
CREATE VIEW rules_in_force AS
SELECT r.*, CASE WHEN r.category_id IS NOT NULL THEN ARRAY(
    WITH RECURSIVE subtree AS (
        SELECT r.category_id AS id UNION SELECT c.id FROM categories c JOIN subtree s ON c.parent_id = s.id)
    SELECT id FROM subtree) END AS categories
FROM rules r
WHERE r.active AND coalesce(r.starts_at <= now(), true) AND coalesce(r.ends_at > now(), true);

-- Those that apply to everybody: what answers for all users read, and the previous release, which knows no segments.
CREATE VIEW active_rules AS
SELECT id, kind, product_id, category_id, brand, tag, price_min, price_max, factor, position, starts_at, ends_at,
       active, note, created_at, updated_at, categories
FROM rules_in_force WHERE segment_id IS NULL;

-- Number of the price step, from 1: as price_band, and on to the prices of currencies whose units are worth little.
-- Prices have at most three decimals, and so they compare exactly as float8 with these ends.
CREATE FUNCTION price_step_of(price numeric) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(price::float8,
        '{0,1,2.5,5,10,25,50,100,250,500,1000,2500,5000,10000,25000,50000,100000,250000,500000,1000000,2500000,5000000,'
        '10000000,25000000,50000000,100000000,250000000,500000000,1000000000}'::float8[])
$$;
-- The previous release reads `band`, this one `price_step`: each row has both. The next migration counts the steps of
-- products that exist.
ALTER TABLE catalog_counts ADD COLUMN price_step integer;
ALTER TYPE catalog_cell ADD ATTRIBUTE price_step integer;
ALTER TYPE catalog_variant ADD ATTRIBUTE price_step integer;

-- The distinct variants of each group as they are now.
CREATE VIEW catalog_variants AS
SELECT item_group_id,
       array_agg(DISTINCT ROW(categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
                              ARRAY(SELECT DISTINCT unnest(tags) ORDER BY 1), price_step_of(price))::catalog_variant
                ) AS variants
FROM products WHERE is_active AND item_group_id IS NOT NULL GROUP BY item_group_id;

-- The rows of catalog_group_counts to which a group with these variants belongs.
CREATE OR REPLACE FUNCTION group_cells(variants catalog_variant[]) RETURNS TABLE (tag text, cells catalog_cell[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT each.tag, array_agg(DISTINCT ROW(v.category_ids, v.band, v.in_stock, v.price_step)::catalog_cell)
    FROM unnest(variants) AS v, LATERAL (SELECT NULL UNION ALL SELECT unnest(v.tags)) AS each(tag)
    GROUP BY each.tag
$$;

CREATE OR REPLACE FUNCTION count_products() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_counts (category_ids, band, in_stock, is_variant, tag, n, price_step)
        SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
               item_group_id IS NOT NULL, tag, count(*), price_step_of(price)
        FROM after_rows, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
        WHERE is_active GROUP BY 1, 2, 3, 4, 5, 7;
        INSERT INTO catalog_changed_groups
        SELECT DISTINCT item_group_id FROM after_rows WHERE is_active AND item_group_id IS NOT NULL;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO catalog_counts (category_ids, band, in_stock, is_variant, tag, n, price_step)
        SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
               item_group_id IS NOT NULL, tag, -count(*), price_step_of(price)
        FROM before_rows, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
        WHERE is_active GROUP BY 1, 2, 3, 4, 5, 7;
        INSERT INTO catalog_changed_groups
        SELECT DISTINCT item_group_id FROM before_rows WHERE is_active AND item_group_id IS NOT NULL;
    ELSE
        WITH sides AS MATERIALIZED (
            SELECT side.*
            FROM after_rows a JOIN before_rows b USING (id), LATERAL (VALUES
                (a.is_active, a.category_id, a.further_category_ids, a.price, a.quantity, a.tags, a.item_group_id, 1),
                (b.is_active, b.category_id, b.further_category_ids, b.price, b.quantity, b.tags, b.item_group_id, -1)
            ) AS side(is_active, category_id, further_category_ids, price, quantity, tags, item_group_id, change)
            WHERE side.is_active AND
                (a.is_active, a.category_id, a.further_category_ids, a.price, a.quantity > 0, a.tags, a.item_group_id)
                IS DISTINCT FROM
                (b.is_active, b.category_id, b.further_category_ids, b.price, b.quantity > 0, b.tags, b.item_group_id)
        ), counted AS (
            INSERT INTO catalog_counts (category_ids, band, in_stock, is_variant, tag, n, price_step)
            SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
                   item_group_id IS NOT NULL, tag, sum(change), price_step_of(price)
            FROM sides, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
            GROUP BY 1, 2, 3, 4, 5, 7 HAVING sum(change) <> 0
        )
        INSERT INTO catalog_changed_groups SELECT DISTINCT item_group_id FROM sides WHERE item_group_id IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;
-- Adds equal rows up. Readers see either the rows or their sum; a second run at the same time leaves at once.
CREATE OR REPLACE FUNCTION compact_catalog_counts() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(4711007) THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM catalog_counts RETURNING category_ids, band, in_stock, is_variant, tag, n, price_step
    )
    INSERT INTO catalog_counts (category_ids, band, in_stock, is_variant, tag, n, price_step)
    SELECT category_ids, band, in_stock, is_variant, tag, sum(n), price_step
    FROM gone GROUP BY 1, 2, 3, 4, 5, 7 HAVING sum(n) <> 0;
    WITH gone AS (
        DELETE FROM catalog_group_counts RETURNING tag, cells, n
    )
    INSERT INTO catalog_group_counts SELECT tag, cells, sum(n) FROM gone GROUP BY 1, 2 HAVING sum(n) <> 0;
END $$;
