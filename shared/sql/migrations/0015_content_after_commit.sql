-- Content neighbours are computed after the commit, in batches: docs/decisions/0043-content-after-commit.md.

-- Products that have no embedding yet. `needs_words`: nor are their words in the vocabulary, since another writer had its
-- lock. No foreign key: the row of a product that is gone is dropped by the next batch.
CREATE TABLE content_pending (
    product_id   bigint PRIMARY KEY,
    needs_words  boolean NOT NULL DEFAULT false,
    added_at     timestamptz NOT NULL DEFAULT now()
);
-- How many products were shown when the words were last counted.
CREATE TABLE content_counts (
    is_row      boolean PRIMARY KEY DEFAULT true CHECK (is_row),
    products    bigint NOT NULL,
    counted_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO content_counts (products) SELECT count(*) FROM products WHERE is_active;

-- A word's direction times its inverse document frequency, as last counted: a product's embedding is then three sums.
CREATE FUNCTION content_weighted(direction vector, products integer, total float8) RETURNS vector
LANGUAGE sql IMMUTABLE AS $$
    SELECT direction * array_fill(ln(1 + total / products)::real, ARRAY[128])::vector
$$;
ALTER TABLE content_words ADD COLUMN weighted vector(128);
UPDATE content_words SET weighted = content_weighted(direction, products, (SELECT greatest(c.products, 1) FROM content_counts c));

-- Who changes words or embeddings does so alone, and holds no other lock that product writers wait for.
CREATE FUNCTION lock_content() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(4711006)';

-- Count the words of the shown products anew; returns how many products are shown.
CREATE FUNCTION count_content_words() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    total  bigint;
BEGIN
    PERFORM lock_content();
    SELECT count(*) INTO total FROM products WHERE is_active;
    MERGE INTO content_words AS w USING (
        SELECT word, ndoc AS products FROM ts_stat('SELECT document FROM products WHERE is_active')
        WHERE word ~ '^[[:alpha:]]{2,40}$'
    ) AS s ON w.word = s.word
    WHEN MATCHED THEN UPDATE SET products = s.products,
        weighted = content_weighted(w.direction, s.products, greatest(total, 1))
    WHEN NOT MATCHED BY TARGET THEN INSERT (word, products, direction, weighted)
        VALUES (s.word, s.products, content_direction(s.word),
                content_weighted(content_direction(s.word), s.products, greatest(total, 1)))
    WHEN NOT MATCHED BY SOURCE THEN DELETE;
    INSERT INTO content_counts (products) VALUES (total)
    ON CONFLICT (is_row) DO UPDATE SET products = EXCLUDED.products, counted_at = now();
    DELETE FROM product_content c WHERE NOT EXISTS (SELECT FROM products p WHERE p.id = c.product_id AND p.is_active);
    RETURN total;
END $$;

-- Bring the content of these products (NULL: of all, their words counted anew) up to date; returns how many changed.
-- A word that was not met before counts as met once until the words are counted anew.
CREATE OR REPLACE FUNCTION refresh_content(changed bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    total     float8;
    affected  integer;
    parts     constant vector := array_fill(0::real, ARRAY[128])::vector;
BEGIN
    PERFORM lock_content();
    IF changed IS NULL THEN
        PERFORM count_content_words();
        DELETE FROM content_pending WHERE NOT needs_words;
    ELSE
        SELECT greatest(products, 1) INTO total FROM content_counts;
        INSERT INTO content_words (word, products, direction, weighted)
        SELECT n.word, 1, n.direction, content_weighted(n.direction, 1, coalesce(total, 1))
        FROM (SELECT DISTINCT t.lexeme AS word, content_direction(t.lexeme) AS direction
              FROM products p, unnest(p.document) AS t
              WHERE p.id = ANY (changed) AND t.lexeme ~ '^[[:alpha:]]{2,40}$'
                AND NOT EXISTS (SELECT FROM content_words w WHERE w.word = t.lexeme)) AS n;
        DELETE FROM product_content c
        WHERE c.product_id = ANY (changed)
          AND NOT EXISTS (SELECT FROM products p WHERE p.id = c.product_id AND p.is_active);
        DELETE FROM content_pending WHERE product_id = ANY (changed) AND NOT needs_words;
    END IF;
    -- words count by where they stand: in the name 1, in brand, tags and category 0.8, in the description 0.4
    INSERT INTO product_content AS c
    SELECT p.id, l2_normalize(
               coalesce(sum(w.weighted) FILTER (WHERE 'A' = ANY (t.weights)), parts)
             + coalesce(sum(w.weighted) FILTER (WHERE 'B' = ANY (t.weights) AND NOT 'A' = ANY (t.weights)), parts)
               * array_fill(0.8::real, ARRAY[128])::vector
             + coalesce(sum(w.weighted) FILTER (WHERE NOT t.weights && ARRAY['A', 'B']), parts)
               * array_fill(0.4::real, ARRAY[128])::vector)
    FROM products p, unnest(p.document) AS t JOIN content_words w ON w.word = t.lexeme
    WHERE p.is_active AND (changed IS NULL OR p.id = ANY (changed))
    GROUP BY p.id
    ON CONFLICT (product_id) DO UPDATE SET embedding = EXCLUDED.embedding WHERE c.embedding <> EXCLUDED.embedding;
    GET DIAGNOSTICS affected = ROW_COUNT;
    RETURN affected;
END $$;

-- Adding products only notes them.
CREATE OR REPLACE FUNCTION add_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO content_pending (product_id) SELECT id FROM added ORDER BY id ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
-- The vocabulary follows at once, unless another writer has its lock: no write waits for an import to end.
CREATE OR REPLACE FUNCTION add_search_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added) THEN
        IF pg_try_advisory_xact_lock(4711005) THEN
            PERFORM refresh_search_words(ARRAY(SELECT id FROM added));
        ELSE
            INSERT INTO content_pending (product_id, needs_words) SELECT id, true FROM added ORDER BY id
            ON CONFLICT (product_id) DO UPDATE SET needs_words = true;
        END IF;
    END IF;
    RETURN NULL;
END $$;
