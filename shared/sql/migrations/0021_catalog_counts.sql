-- The catalog counted by category, price band, stock and tag, so that facets of browsing do not read every product:
-- docs/decisions/0041-catalog-counts.md

-- Number of the price band, from 1, as width_bucket counts them. Prices have two decimals, and so they compare exactly
-- as float8 with these ends.
CREATE FUNCTION price_band(price numeric) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(price::float8, '{0,1,2.5,5,10,25,50,100,250,500,1000,2500,5000,10000}'::float8[])
$$;

-- Ids of a product's primary category and its further ones, in ascending order.
CREATE FUNCTION categories_of(category_id bigint, further_category_ids bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN further_category_ids = '{}' THEN array_remove(ARRAY[category_id], NULL)
           ELSE ARRAY(SELECT DISTINCT each.id FROM unnest(category_id || further_category_ids) AS each(id)
                      WHERE each.id IS NOT NULL ORDER BY each.id) END
$$;

-- The sum of n of the rows with equal keys is the number of active products. `tag` NULL counts each product once;
-- `is_variant`: the products have an item_group_id. Transactions only add rows, so that none waits for another;
-- compact_catalog_counts adds equal ones up.
CREATE TABLE catalog_counts (
    category_ids bigint[] NOT NULL,
    band         integer NOT NULL,
    in_stock     boolean NOT NULL,
    is_variant   boolean NOT NULL,
    tag          text,
    n            bigint NOT NULL
);

-- What a filter may read of a variant, without and with its tags.
CREATE TYPE catalog_cell AS (category_ids bigint[], band integer, in_stock boolean);
CREATE TYPE catalog_variant AS (category_ids bigint[], band integer, in_stock boolean, tags text[]);

-- Numbers of groups, by the distinct cells of their variants: a filter counts a group once if it fits any of its cells.
-- `tag` NULL counts each group once, by all of its variants; otherwise the cells are those of the variants with the tag.
CREATE TABLE catalog_group_counts (
    tag    text,
    cells  catalog_cell[] NOT NULL,
    n      bigint NOT NULL
);
-- The variants of each group as they are counted there.
CREATE TABLE catalog_groups (
    item_group_id  text PRIMARY KEY,
    variants       catalog_variant[] NOT NULL
);
-- Groups that have changed since they were counted; a group may have several rows. Two transactions that change two
-- variants of a group do not see each other's change, so neither of them can count the group: both note it, and readers
-- correct the counts by the groups that are noted. Only count_changed_groups deletes rows.
CREATE TABLE catalog_changed_groups (
    item_group_id  text NOT NULL
);

-- The distinct variants of each group as they are now.
CREATE VIEW catalog_variants AS
SELECT item_group_id,
       array_agg(DISTINCT ROW(categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
                              ARRAY(SELECT DISTINCT unnest(tags) ORDER BY 1))::catalog_variant) AS variants
FROM products WHERE is_active AND item_group_id IS NOT NULL GROUP BY item_group_id;

-- The rows of catalog_group_counts to which a group with these variants belongs.
CREATE FUNCTION group_cells(variants catalog_variant[]) RETURNS TABLE (tag text, cells catalog_cell[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT each.tag, array_agg(DISTINCT ROW(v.category_ids, v.band, v.in_stock)::catalog_cell)
    FROM unnest(variants) AS v, LATERAL (SELECT NULL UNION ALL SELECT unnest(v.tags)) AS each(tag)
    GROUP BY each.tag
$$;

CREATE FUNCTION count_products() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_counts
        SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
               item_group_id IS NOT NULL, tag, count(*)
        FROM after_rows, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
        WHERE is_active GROUP BY 1, 2, 3, 4, 5;
        INSERT INTO catalog_changed_groups
        SELECT DISTINCT item_group_id FROM after_rows WHERE is_active AND item_group_id IS NOT NULL;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO catalog_counts
        SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
               item_group_id IS NOT NULL, tag, -count(*)
        FROM before_rows, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
        WHERE is_active GROUP BY 1, 2, 3, 4, 5;
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
            INSERT INTO catalog_counts
            SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0,
                   item_group_id IS NOT NULL, tag, sum(change)
            FROM sides, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
            GROUP BY 1, 2, 3, 4, 5 HAVING sum(change) <> 0
        )
        INSERT INTO catalog_changed_groups SELECT DISTINCT item_group_id FROM sides WHERE item_group_id IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER products_count_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION count_products();
CREATE TRIGGER products_count_updated AFTER UPDATE ON products
    REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION count_products();
CREATE TRIGGER products_count_deleted AFTER DELETE ON products
    REFERENCING OLD TABLE AS before_rows FOR EACH STATEMENT EXECUTE FUNCTION count_products();

-- Counts the groups that are noted as changed. Readers see either the notes or the counts, in one snapshot; a change
-- that commits meanwhile keeps its note. A second run at the same time leaves at once.
CREATE FUNCTION count_changed_groups() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM catalog_changed_groups) OR NOT pg_try_advisory_xact_lock(4711007) THEN
        RETURN;
    END IF;
    WITH noted AS (
        DELETE FROM catalog_changed_groups RETURNING item_group_id
    ), ids AS MATERIALIZED (
        SELECT array_agg(DISTINCT item_group_id) AS changed FROM noted
    ), now_is AS MATERIALIZED (
        SELECT v.* FROM catalog_variants v WHERE v.item_group_id = ANY ((SELECT changed FROM ids)::text[])
    ), was AS MATERIALIZED (
        SELECT g.* FROM catalog_groups g WHERE g.item_group_id = ANY ((SELECT changed FROM ids)::text[])
    ), counted AS (
        INSERT INTO catalog_group_counts
        SELECT c.tag, c.cells, sum(side.change)
        FROM (SELECT variants, 1 AS change FROM now_is UNION ALL SELECT variants, -1 FROM was) AS side,
             group_cells(side.variants) AS c
        GROUP BY 1, 2 HAVING sum(side.change) <> 0
    ), gone AS (
        DELETE FROM catalog_groups g USING was
        WHERE g.item_group_id = was.item_group_id AND NOT EXISTS (
            SELECT FROM now_is WHERE now_is.item_group_id = was.item_group_id)
    )
    INSERT INTO catalog_groups SELECT * FROM now_is
    ON CONFLICT (item_group_id) DO UPDATE SET variants = EXCLUDED.variants;
END $$;

-- Adds equal rows up. Readers see either the rows or their sum; a second run at the same time leaves at once.
CREATE FUNCTION compact_catalog_counts() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(4711007) THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM catalog_counts RETURNING category_ids, band, in_stock, is_variant, tag, n
    )
    INSERT INTO catalog_counts
    SELECT category_ids, band, in_stock, is_variant, tag, sum(n) FROM gone GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0;
    WITH gone AS (
        DELETE FROM catalog_group_counts RETURNING tag, cells, n
    )
    INSERT INTO catalog_group_counts SELECT tag, cells, sum(n) FROM gone GROUP BY 1, 2 HAVING sum(n) <> 0;
END $$;

-- no write may come between the triggers and this count
LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO catalog_counts
SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0, item_group_id IS NOT NULL,
       tag, count(*)
FROM products, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
WHERE is_active GROUP BY 1, 2, 3, 4, 5;
INSERT INTO catalog_groups SELECT * FROM catalog_variants;
INSERT INTO catalog_group_counts
SELECT c.tag, c.cells, count(*) FROM catalog_groups g, group_cells(g.variants) AS c GROUP BY 1, 2;

CREATE INDEX products_by_price ON products (price, id) WHERE is_active;
CREATE INDEX products_by_age ON products (created_at DESC, id DESC) WHERE is_active;
