-- Embeddings follow what changed: a night computes those of new and changed products, and all of them, in short
-- transactions, only after their words were counted anew: docs/decisions/0082-content-by-changes.md.

-- Products whose text changed, or which were hidden, shown again or deleted, since their embedding was computed. Rows are
-- only added: no two writers wait for each other, and a change that commits while its product is computed keeps its note.
CREATE TABLE content_changes (
    product_id  bigint NOT NULL
);
CREATE INDEX content_changes_product_id ON content_changes (product_id);
-- The products that wait for their embedding: those that are new, and those that are noted; each once.
CREATE VIEW content_waiting AS
    SELECT product_id FROM content_pending UNION SELECT product_id FROM content_changes;
CREATE FUNCTION note_content_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO content_changes VALUES (NEW.id);
    RETURN NULL;
END $$;
-- the columns of products_write_document, and is_active: a change of price or stock compares no texts
CREATE TRIGGER products_content_changed
    AFTER UPDATE OF name, description, brand, tags, category_id, external_id, variant_title, document, is_active ON products
    FOR EACH ROW WHEN (OLD.document IS DISTINCT FROM NEW.document OR OLD.is_active IS DISTINCT FROM NEW.is_active)
    EXECUTE FUNCTION note_content_change();
-- its embedding goes with the row, but its words were counted
CREATE FUNCTION note_deleted_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO content_changes SELECT id FROM gone WHERE is_active;
    RETURN NULL;
END $$;
CREATE TRIGGER products_content_deleted
    AFTER DELETE ON products REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_deleted_content();

-- `changed`: products that were added, changed, hidden, shown or deleted since a count of the words began, as their
-- embeddings follow; less those that waited for that when it began, which it has counted. A product that is both new and
-- changed waits once. `generation` grows with each count. `embedded_to`: shown products up to this id have embeddings of
-- this generation; NULL: all have.
ALTER TABLE content_counts
    ADD COLUMN changed bigint NOT NULL DEFAULT 0,
    ADD COLUMN generation integer NOT NULL DEFAULT 0,
    ADD COLUMN embedded_to bigint;
-- The count of the words that the embedding was computed with.
ALTER TABLE product_content ADD COLUMN generation integer NOT NULL DEFAULT 0;

-- A count of the words that is under way: products up to `counted_to` are counted. After the last one, `products` and
-- `categories` are those of the shown products, and words up to `weighed_to` have their new weights.
CREATE TABLE content_recounts (
    is_row      boolean PRIMARY KEY DEFAULT true CHECK (is_row),
    counted_to  bigint NOT NULL DEFAULT 0,
    products    bigint,
    categories  bigint,
    weighed_to  text NOT NULL DEFAULT ''
);
-- What it has counted, in parts: the products with a word and, for names, brands, tags and categories, those of each category.
CREATE TABLE content_word_counts (
    word         text NOT NULL,
    category_id  bigint,
    products     bigint NOT NULL
);
CREATE INDEX content_word_counts_word ON content_word_counts (word);

-- Begin to count the words anew. The old weights hold until `continue_content_count` has returned false.
CREATE FUNCTION begin_content_count() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_content();
    DELETE FROM content_word_counts;
    INSERT INTO content_recounts (is_row) VALUES (true)
    ON CONFLICT (is_row) DO UPDATE SET counted_to = 0, products = NULL, categories = NULL, weighed_to = '';
    UPDATE content_counts SET changed = -(SELECT count(*) FROM content_waiting);
END $$;

-- Count the words of some more products, or weigh some more words. Returns false once the count is complete.
CREATE FUNCTION continue_content_count(products_at_once bigint, words_at_once bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    count_so_far  content_recounts;
    last_product  bigint;
    last_word     text;
    spread        float8;
BEGIN
    PERFORM lock_content();
    SELECT * INTO count_so_far FROM content_recounts;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF count_so_far.products IS NULL THEN
        SELECT max(id) INTO last_product FROM (
            SELECT id FROM products WHERE is_active AND id > count_so_far.counted_to ORDER BY id LIMIT products_at_once
        ) AS slice;
        IF last_product IS NULL THEN
            UPDATE content_recounts r SET products = p.products, categories = p.categories
            FROM (SELECT count(*) AS products, count(DISTINCT category_id) AS categories FROM products WHERE is_active) AS p;
            RETURN true;
        END IF;
        INSERT INTO content_word_counts (word, products)
        SELECT word, ndoc FROM ts_stat(format('SELECT document FROM products WHERE is_active AND id > %s AND id <= %s',
                                              count_so_far.counted_to, last_product))
        WHERE word ~ '^[[:alpha:]]{2,40}$';
        -- names, brands, tags and categories: descriptions are long, and their words weigh little anyway
        INSERT INTO content_word_counts (word, category_id, products)
        SELECT t.lexeme, p.category_id, count(*)
        FROM products p, unnest(ts_filter(p.document, '{a,b}')) AS t
        WHERE p.is_active AND p.id > count_so_far.counted_to AND p.id <= last_product
          AND p.category_id IS NOT NULL AND t.lexeme ~ '^[[:alpha:]]{2,40}$'
        GROUP BY t.lexeme, p.category_id;
        UPDATE content_recounts SET counted_to = last_product;
        RETURN true;
    END IF;
    SELECT max(word) INTO last_word FROM (
        SELECT DISTINCT word FROM content_word_counts WHERE word > count_so_far.weighed_to ORDER BY word LIMIT words_at_once
    ) AS slice;
    spread := ln(10 + count_so_far.categories);
    WITH counted AS (
        SELECT word, sum(products)::integer AS products FROM content_word_counts
        WHERE category_id IS NULL AND word > count_so_far.weighed_to AND word <= last_word GROUP BY word
    ), placed AS (
        SELECT word, sum(products)::float8 AS products FROM content_word_counts
        WHERE category_id IS NOT NULL AND word > count_so_far.weighed_to AND word <= last_word GROUP BY word, category_id
    ), kinds AS (
        -- 1 - H / ln(10 + categories), where H is the entropy of the word's products over categories
        SELECT word, 1 - (ln(sum(products)) - sum(products * ln(products)) / sum(products)) / spread AS kind
        FROM placed GROUP BY word
    )
    MERGE INTO content_words AS w
    USING (SELECT word, products, coalesce(kind, 1) AS kind FROM counted LEFT JOIN kinds USING (word)) AS s
    ON w.word = s.word AND w.word > count_so_far.weighed_to AND w.word <= last_word
    WHEN MATCHED THEN UPDATE SET products = s.products,
        weighted = content_weighted(w.direction, s.products, greatest(count_so_far.products, 1), s.kind)
    WHEN NOT MATCHED THEN INSERT (word, products, direction, weighted)
        VALUES (s.word, s.products, content_direction(s.word),
                content_weighted(content_direction(s.word), s.products, greatest(count_so_far.products, 1), s.kind));
    DELETE FROM content_words w
    WHERE w.word > count_so_far.weighed_to AND (last_word IS NULL OR w.word <= last_word)
      AND NOT EXISTS (SELECT FROM content_word_counts c WHERE c.word = w.word);
    IF last_word IS NOT NULL THEN
        DELETE FROM content_word_counts WHERE word <= last_word;
        UPDATE content_recounts SET weighed_to = last_word;
        RETURN true;
    END IF;
    DELETE FROM content_recounts;
    INSERT INTO content_counts (products, embedded_to) VALUES (count_so_far.products, 0)
    ON CONFLICT (is_row) DO UPDATE SET products = EXCLUDED.products, counted_at = now(),
        generation = content_counts.generation + 1, embedded_to = 0;
    RETURN false;
END $$;
-- one plan would serve a slice and a whole catalog
ALTER FUNCTION continue_content_count(bigint, bigint) SET plan_cache_mode = force_custom_plan;

-- Count the words of the shown products anew, in one transaction; returns how many products are shown.
CREATE OR REPLACE FUNCTION count_content_words() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM begin_content_count();
    WHILE continue_content_count(9223372036854775807, 9223372036854775807) LOOP
    END LOOP;
    RETURN (SELECT products FROM content_counts);
END $$;

-- Bring the content of these products (NULL: of all, their words counted anew) up to date; returns how many rows were
-- written. A word that was not met before counts as met once until the words are counted anew.
CREATE OR REPLACE FUNCTION refresh_content(changed bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    total     float8;
    current   integer;
    affected  integer;
    parts     constant vector := array_fill(0::real, ARRAY[128])::vector;
BEGIN
    PERFORM lock_content();
    IF changed IS NULL THEN
        DELETE FROM content_pending WHERE NOT needs_words;
        DELETE FROM content_changes;
        PERFORM count_content_words();
        UPDATE content_counts SET embedded_to = NULL;
    ELSE
        -- notes go before the texts are read: what commits later keeps its note
        WITH noted AS (
            DELETE FROM content_changes c WHERE c.product_id = ANY (refresh_content.changed) RETURNING c.product_id
        ), added AS (
            DELETE FROM content_pending c WHERE c.product_id = ANY (refresh_content.changed) AND NOT needs_words
            RETURNING c.product_id
        ), either AS (
            -- what needs words still waits, and is counted when it no longer does
            SELECT count(*) AS products FROM (
                SELECT product_id FROM noted UNION SELECT product_id FROM added
                EXCEPT SELECT product_id FROM content_pending WHERE needs_words
            ) AS all_of_them
        )
        UPDATE content_counts c SET changed = c.changed + either.products FROM either WHERE either.products > 0;
        SELECT greatest(products, 1) INTO total FROM content_counts;
        INSERT INTO content_words (word, products, direction, weighted)
        SELECT n.word, 1, n.direction, content_weighted(n.direction, 1, coalesce(total, 1))
        FROM (SELECT DISTINCT t.lexeme AS word, content_direction(t.lexeme) AS direction
              FROM products p, unnest(p.document) AS t
              WHERE p.id = ANY (refresh_content.changed) AND p.is_active AND t.lexeme ~ '^[[:alpha:]]{2,40}$'
                AND NOT EXISTS (SELECT FROM content_words w WHERE w.word = t.lexeme)) AS n;
    END IF;
    DELETE FROM product_content c
    WHERE (refresh_content.changed IS NULL OR c.product_id = ANY (refresh_content.changed))
      AND NOT EXISTS (SELECT FROM products p WHERE p.id = c.product_id AND p.is_active);
    SELECT generation INTO current FROM content_counts;
    -- words count by where they stand: in the name 1, in brand, tags and category 0.8, in the description 0.4
    INSERT INTO product_content AS c (product_id, embedding, generation)
    SELECT p.id, l2_normalize(
               coalesce(sum(w.weighted) FILTER (WHERE 'A' = ANY (t.weights)), parts)
             + coalesce(sum(w.weighted) FILTER (WHERE 'B' = ANY (t.weights) AND NOT 'A' = ANY (t.weights)), parts)
               * array_fill(0.8::real, ARRAY[128])::vector
             + coalesce(sum(w.weighted) FILTER (WHERE NOT t.weights && ARRAY['A', 'B']), parts)
               * array_fill(0.4::real, ARRAY[128])::vector),
           coalesce(current, 0)
    FROM products p, unnest(p.document) AS t JOIN content_words w ON w.word = t.lexeme
    WHERE p.is_active AND (refresh_content.changed IS NULL OR p.id = ANY (refresh_content.changed))
    GROUP BY p.id
    ON CONFLICT (product_id) DO UPDATE SET embedding = EXCLUDED.embedding, generation = EXCLUDED.generation
    WHERE c.embedding <> EXCLUDED.embedding OR c.generation <> EXCLUDED.generation;
    GET DIAGNOSTICS affected = ROW_COUNT;
    RETURN affected;
END $$;
ALTER FUNCTION refresh_content(bigint[]) SET plan_cache_mode = force_custom_plan;

-- What the previous release has embedded, and what it was to embed in the night, is computed anew once: it noted no changes,
-- and its night may have ended between the words and the embeddings.
UPDATE content_counts SET changed = (SELECT count(*) FROM products);
