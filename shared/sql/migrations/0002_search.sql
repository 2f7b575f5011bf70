-- Search: the words of the catalog, for completing and correcting what shoppers type.

-- The document of a product, in one place: the trigger writes it, and refresh_catalog finds those that are out of date.
CREATE FUNCTION product_document(p products, category text) RETURNS tsvector LANGUAGE sql STABLE AS $$
    SELECT setweight(to_tsvector('aisle', p.name), 'A') ||
           setweight(to_tsvector('aisle', concat_ws(' ', p.brand, array_to_string(p.tags, ' '), p.external_id, category)), 'B') ||
           setweight(to_tsvector('aisle', p.description), 'C')
$$;
CREATE OR REPLACE FUNCTION write_product_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.document := product_document(NEW, (SELECT name FROM categories WHERE id = NEW.category_id));
    RETURN NEW;
END $$;

-- The catalog is read far more often than written: no list of pending entries that each search would read through.
ALTER INDEX products_document SET (fastupdate = off);
ALTER INDEX products_tags SET (fastupdate = off);

-- A stock code is found whatever its case.
CREATE INDEX products_external_id_lower ON products (lower(external_id));

-- Whole words without accents: what is shown as a correction must not be a stem.
CREATE TEXT SEARCH CONFIGURATION aisle_words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION aisle_words
    ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;

-- What each shown product added to search_words, so that a change adds and takes away exactly its own words.
-- No foreign key: a row may outlive its product until refresh_search_words has taken its words back.
CREATE TABLE product_words (
    product_id  bigint PRIMARY KEY,
    words       text[] NOT NULL
);
CREATE TABLE search_words (
    word      text PRIMARY KEY,
    products  integer NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX search_words_similar ON search_words USING gin (word gin_trgm_ops) WITH (fastupdate = off);
CREATE INDEX search_words_prefix ON search_words (word text_pattern_ops, products);

-- Who changes the vocabulary does so alone. Taken before any lock on a product, or without one: two writers that took
-- them in different order would wait for each other.
CREATE FUNCTION lock_search_words() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(4711005)';

-- Bring the vocabulary up to date for these products (all of them: NULL). Returns how many words' counts changed.
-- Idempotent; runs one at a time. New products come by the trigger below, changes by refresh_catalog.
CREATE FUNCTION refresh_search_words(changed bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    affected integer;
BEGIN
    PERFORM lock_search_words();
    WITH now_shown AS MATERIALIZED (
        SELECT p.id, ARRAY(
            SELECT DISTINCT lexeme
            FROM unnest(to_tsvector('aisle_words',
                 concat_ws(' ', p.name, p.brand, array_to_string(p.tags, ' '), c.name))) AS t(lexeme, positions, weights)
            WHERE lexeme ~ '^[[:alpha:]]{3,40}$') AS words
        FROM products p LEFT JOIN categories c ON c.id = p.category_id
        WHERE p.is_active AND (changed IS NULL OR p.id = ANY (changed))
    ), before AS MATERIALIZED (
        SELECT product_id, words FROM product_words WHERE changed IS NULL OR product_id = ANY (changed)
    ), deltas AS (
        SELECT word, sum(n)::integer AS n
        FROM (SELECT unnest(words) AS word, 1 AS n FROM now_shown
              UNION ALL SELECT unnest(words), -1 FROM before) AS each
        GROUP BY word HAVING sum(n) <> 0
    ), kept AS (
        INSERT INTO product_words SELECT id, words FROM now_shown
        ON CONFLICT (product_id) DO UPDATE SET words = EXCLUDED.words WHERE product_words.words IS DISTINCT FROM EXCLUDED.words
    ), gone AS (
        DELETE FROM product_words w USING before b
        WHERE w.product_id = b.product_id AND NOT EXISTS (SELECT FROM now_shown s WHERE s.id = b.product_id)
    )
    INSERT INTO search_words SELECT word, n FROM deltas ORDER BY word
    ON CONFLICT (word) DO UPDATE SET products = search_words.products + EXCLUDED.products;
    GET DIAGNOSTICS affected = ROW_COUNT;
    DELETE FROM search_words WHERE products <= 0;
    RETURN affected;
END $$;

-- Once per statement, however many rows it adds: no way of loading products can forget it.
CREATE FUNCTION add_search_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added) THEN
        PERFORM refresh_search_words(ARRAY(SELECT id FROM added));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER products_add_search_words AFTER INSERT ON products
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_search_words();

-- Words that a mistyped one may stand for: alike by trigrams, or, where it is too short for those to say much, of the
-- same first letter and about the same length. The caller chooses by edit distance (shared/domain/spelling.py).
CREATE FUNCTION near_words(mistyped text, most integer) RETURNS TABLE (word text, products integer)
LANGUAGE sql STABLE SET pg_trgm.similarity_threshold = 0.25 AS $$
    (SELECT w.word, w.products FROM search_words w
     WHERE w.word % mistyped ORDER BY similarity(w.word, mistyped) DESC, w.products DESC LIMIT most)
    UNION
    (SELECT w.word, w.products FROM search_words w
     WHERE length(mistyped) <= 5 AND w.word LIKE left(mistyped, 1) || '%'
       AND length(w.word) BETWEEN length(mistyped) - 1 AND length(mistyped) + 1
     ORDER BY w.products DESC LIMIT most)
    UNION
    (SELECT w.word, w.products FROM search_words w
     WHERE w.word LIKE mistyped || '%' ORDER BY w.products DESC LIMIT 3)
$$;

-- A stored answer may carry headers, such as Location.
ALTER TABLE idempotency_keys ADD COLUMN headers jsonb NOT NULL DEFAULT '{}';
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
