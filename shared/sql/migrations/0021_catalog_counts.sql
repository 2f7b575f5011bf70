-- The catalog counted by category, price band, stock and tag, so that facets of browsing do not read every product:
-- docs/decisions/0041-catalog-counts.md

-- Number of the price band, from 1, as width_bucket counts them. Prices have two decimals, and so they compare exactly
-- as float8 with these ends.
CREATE FUNCTION price_band(price numeric) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(price::float8, '{0,1,2.5,5,10,25,50,100,250,500,1000,2500,5000,10000}'::float8[])
$$;

-- The sum of n of the rows with equal keys is the number of active products. `tag` NULL counts each product once.
-- Transactions only add rows, so that none waits for another; compact_catalog_counts adds equal ones up.
CREATE TABLE catalog_counts (
    category_id  bigint,
    band         integer NOT NULL,
    in_stock     boolean NOT NULL,
    tag          text,
    n            bigint NOT NULL
);
CREATE INDEX catalog_counts_category ON catalog_counts (category_id);

CREATE FUNCTION count_products() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_counts
        SELECT category_id, price_band(price), quantity > 0, tag, count(*)
        FROM after_rows, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
        WHERE is_active GROUP BY 1, 2, 3, 4;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO catalog_counts
        SELECT category_id, price_band(price), quantity > 0, tag, -count(*)
        FROM before_rows, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
        WHERE is_active GROUP BY 1, 2, 3, 4;
    ELSE
        INSERT INTO catalog_counts
        SELECT category_id, band, in_stock, tag, sum(change)
        FROM (SELECT a.category_id, price_band(a.price) AS band, a.quantity > 0 AS in_stock, a.tags, 1 AS change
              FROM after_rows a JOIN before_rows b USING (id)
              WHERE a.is_active AND (a.is_active, a.category_id, a.price, a.quantity > 0, a.tags)
                    IS DISTINCT FROM (b.is_active, b.category_id, b.price, b.quantity > 0, b.tags)
              UNION ALL
              SELECT b.category_id, price_band(b.price), b.quantity > 0, b.tags, -1
              FROM after_rows a JOIN before_rows b USING (id)
              WHERE b.is_active AND (a.is_active, a.category_id, a.price, a.quantity > 0, a.tags)
                    IS DISTINCT FROM (b.is_active, b.category_id, b.price, b.quantity > 0, b.tags)) AS changed,
             LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
        GROUP BY 1, 2, 3, 4 HAVING sum(change) <> 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER products_count_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION count_products();
CREATE TRIGGER products_count_updated AFTER UPDATE ON products
    REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION count_products();
CREATE TRIGGER products_count_deleted AFTER DELETE ON products
    REFERENCING OLD TABLE AS before_rows FOR EACH STATEMENT EXECUTE FUNCTION count_products();

-- Adds equal rows up. Readers see either the rows or their sum; a second run at the same time leaves at once.
CREATE FUNCTION compact_catalog_counts() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(4711007) THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM catalog_counts RETURNING category_id, band, in_stock, tag, n
    )
    INSERT INTO catalog_counts
    SELECT category_id, band, in_stock, tag, sum(n) FROM gone GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0;
END $$;

-- no write may come between the triggers and this count
LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO catalog_counts
SELECT category_id, price_band(price), quantity > 0, tag, count(*)
FROM products, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
WHERE is_active GROUP BY 1, 2, 3, 4;

CREATE INDEX products_by_price ON products (price, id) WHERE is_active;
CREATE INDEX products_by_age ON products (created_at DESC, id DESC) WHERE is_active;
-- what the counts do not know: shared/storage/catalog/browsing.py
CREATE INDEX products_with_further_categories ON products (id) WHERE further_category_ids <> '{}';
