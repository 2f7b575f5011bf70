-- Words that many categories share, such as a brand's, weigh less in content neighbours than words of a product's kind:
-- docs/decisions/0047-words-of-a-kind.md.

-- As content_weighted, times the share of a word's weight that its spread over categories leaves.
CREATE FUNCTION content_weighted(direction vector, products integer, total float8, kind float8) RETURNS vector
LANGUAGE sql IMMUTABLE AS $$
    SELECT direction * array_fill((kind * ln(1 + total / products))::real, ARRAY[128])::vector
$$;

-- Count the words of the shown products anew; returns how many products are shown.
CREATE OR REPLACE FUNCTION count_content_words() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    total   bigint;
    spread  float8;
BEGIN
    PERFORM lock_content();
    SELECT count(*), ln(10 + count(DISTINCT category_id)) INTO total, spread FROM products WHERE is_active;
    WITH counted AS (
        SELECT word, ndoc AS products FROM ts_stat('SELECT document FROM products WHERE is_active')
        WHERE word ~ '^[[:alpha:]]{2,40}$'
    ), placed AS (
        -- names, brands, tags and categories: descriptions are long, and their words weigh little anyway
        SELECT t.lexeme AS word, count(*)::float8 AS products
        FROM products p, unnest(ts_filter(p.document, '{a,b}')) AS t
        WHERE p.is_active AND p.category_id IS NOT NULL AND t.lexeme ~ '^[[:alpha:]]{2,40}$'
        GROUP BY t.lexeme, p.category_id
    ), kinds AS (
        -- 1 - H / ln(10 + categories), where H is the entropy of the word's products over categories
        SELECT word, 1 - (ln(sum(products)) - sum(products * ln(products)) / sum(products)) / spread AS kind
        FROM placed GROUP BY word
    )
    MERGE INTO content_words AS w
    USING (SELECT word, products, coalesce(kind, 1) AS kind FROM counted LEFT JOIN kinds USING (word)) AS s
    ON w.word = s.word
    WHEN MATCHED THEN UPDATE SET products = s.products,
        weighted = content_weighted(w.direction, s.products, greatest(total, 1), s.kind)
    WHEN NOT MATCHED BY TARGET THEN INSERT (word, products, direction, weighted)
        VALUES (s.word, s.products, content_direction(s.word),
                content_weighted(content_direction(s.word), s.products, greatest(total, 1), s.kind))
    WHEN NOT MATCHED BY SOURCE THEN DELETE;
    INSERT INTO content_counts (products) VALUES (total)
    ON CONFLICT (is_row) DO UPDATE SET products = EXCLUDED.products, counted_at = now();
    DELETE FROM product_content c WHERE NOT EXISTS (SELECT FROM products p WHERE p.id = c.product_id AND p.is_active);
    RETURN total;
END $$;
