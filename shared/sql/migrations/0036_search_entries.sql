-- What a search filters, counts and orders by, apart from the wide rows of products: a text that many products have costs
-- about a sixth less. docs/decisions/0051-a-search-reads-its-matches-once.md

-- A row for each product, written with it. What every search reads comes first, columns of fixed width before others.
-- `tags_key`: a hash of 64 bits of the tags. `further_category_ids`: NULL for none. No foreign key: a trigger deletes.
CREATE TABLE search_entries (
    id                    bigint PRIMARY KEY,
    tags_key              bigint NOT NULL,
    price_step            integer NOT NULL,
    in_stock              boolean NOT NULL,
    is_active             boolean NOT NULL,
    category_id           bigint,
    title_key             bigint,
    price                 numeric NOT NULL,
    further_category_ids  bigint[],
    item_group_id         text,
    tags                  text[] NOT NULL,
    document              tsvector NOT NULL
) WITH (fillfactor = 90);

-- The rows that search_entries must have.
CREATE VIEW current_search_entries AS
SELECT id, hash_array_extended(tags, 0) AS tags_key, price_step_of(price) AS price_step, quantity > 0 AS in_stock,
       is_active, category_id, title_key, price, nullif(further_category_ids, '{}') AS further_category_ids,
       item_group_id, tags, document
FROM products;

-- Whoever writes products writes their entries, under the locks of the products, whose ids never change. One plan serves a
-- change of one product and an import of thousands: it looks each up by its id.
CREATE FUNCTION write_search_entries() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO search_entries
    SELECT now_is.* FROM after_rows JOIN current_search_entries now_is USING (id) LEFT JOIN search_entries was USING (id)
    WHERE was.* IS DISTINCT FROM now_is.*
    ON CONFLICT (id) DO UPDATE SET
        tags_key = EXCLUDED.tags_key, price_step = EXCLUDED.price_step, in_stock = EXCLUDED.in_stock,
        is_active = EXCLUDED.is_active, category_id = EXCLUDED.category_id, title_key = EXCLUDED.title_key,
        price = EXCLUDED.price, further_category_ids = EXCLUDED.further_category_ids,
        item_group_id = EXCLUDED.item_group_id, tags = EXCLUDED.tags, document = EXCLUDED.document;
    RETURN NULL;
END $$;
CREATE FUNCTION delete_search_entries() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM search_entries e USING before_rows b WHERE e.id = b.id;
    RETURN NULL;
END $$;
CREATE FUNCTION truncate_search_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE search_entries;
    RETURN NULL;
END $$;
CREATE TRIGGER products_search_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION write_search_entries();
CREATE TRIGGER products_search_updated AFTER UPDATE ON products
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION write_search_entries();
CREATE TRIGGER products_search_deleted AFTER DELETE ON products
    REFERENCING OLD TABLE AS before_rows FOR EACH STATEMENT EXECUTE FUNCTION delete_search_entries();
CREATE TRIGGER products_search_truncated AFTER TRUNCATE ON products
    FOR EACH STATEMENT EXECUTE FUNCTION truncate_search_entries();

-- no write may come between the triggers and these rows; readers pass
LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO search_entries SELECT * FROM current_search_entries ORDER BY id;
CREATE INDEX search_entries_document ON search_entries USING gin (document)
    WITH (fastupdate = on, gin_pending_list_limit = 4096);
CREATE INDEX search_entries_title_key ON search_entries (title_key);
ANALYZE search_entries;

-- Only the owner of an index may merge its list.
CREATE OR REPLACE FUNCTION merge_pending_documents() RETURNS bigint LANGUAGE sql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT gin_clean_pending_list('products_document') + gin_clean_pending_list('search_entries_document')
$$;
