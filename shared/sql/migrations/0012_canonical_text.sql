-- Catalog texts in one Unicode form (NFC), in which they are also looked up: docs/decisions/0026-canonical-text.md.

CREATE FUNCTION is_canonical(p products) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p.name IS NFC NORMALIZED AND p.description IS NFC NORMALIZED AND p.external_id IS NFC NORMALIZED
           AND coalesce(p.brand IS NFC NORMALIZED, true) AND array_to_string(p.tags, ' ') IS NFC NORMALIZED
$$;

-- Brings stored texts of the catalog into NFC. Categories of one name become one: the oldest that is in NFC already, or
-- else the oldest. A product whose external_id another product has in NFC keeps its own. Idempotent. The job retention
-- calls it daily, for rows that the previous release has written since.
CREATE FUNCTION make_catalog_canonical(OUT categories_merged integer, OUT products_changed integer, OUT ids_left integer)
LANGUAGE plpgsql AS $$
DECLARE
    changed  bigint[];
    labels   text[];
BEGIN
    categories_merged := 0; products_changed := 0; ids_left := 0;
    -- in most runs there is nothing to do, and no import need wait
    IF NOT EXISTS (SELECT FROM categories WHERE name IS NOT NFC NORMALIZED)
       AND NOT EXISTS (SELECT FROM rules WHERE brand IS NOT NFC NORMALIZED OR tag IS NOT NFC NORMALIZED)
       AND NOT EXISTS (SELECT FROM products p WHERE NOT is_canonical(p)) THEN
        RETURN;
    END IF;
    -- before any lock on a product, like every writer of the vocabulary
    PERFORM lock_search_words();
    CREATE TEMP TABLE category_forms ON COMMIT DROP AS
    SELECT id, first_value(id) OVER (
               PARTITION BY normalize(name, NFC) ORDER BY name IS NFC NORMALIZED DESC, id) AS kept
    FROM categories
    WHERE normalize(name, NFC) IN (SELECT normalize(name, NFC) FROM categories WHERE name IS NOT NFC NORMALIZED);

    changed := ARRAY(
        SELECT p.id FROM products p
        WHERE p.category_id IN (SELECT id FROM category_forms) OR NOT is_canonical(p)
        ORDER BY p.id FOR NO KEY UPDATE OF p);
    labels := ARRAY(
        SELECT brand FROM products WHERE id = ANY (changed) AND brand IS NOT NFC NORMALIZED
        UNION SELECT tag FROM products, unnest(tags) AS tag WHERE id = ANY (changed) AND tag IS NOT NFC NORMALIZED);

    UPDATE products p SET category_id = f.kept FROM category_forms f
    WHERE f.id = p.category_id AND f.id <> f.kept AND p.id = ANY (changed);
    UPDATE rules r SET category_id = f.kept FROM category_forms f WHERE f.id = r.category_id AND f.id <> f.kept;
    UPDATE trending_scores t SET category_id = f.kept FROM category_forms f
    WHERE f.id = t.category_id AND f.id <> f.kept;
    UPDATE categories c SET parent_id = f.kept FROM category_forms f WHERE f.id = c.parent_id AND f.id <> f.kept;
    -- a category must not have become its own ancestor
    WITH RECURSIVE ancestors AS (
        SELECT id, parent_id FROM categories WHERE id IN (SELECT kept FROM category_forms)
        UNION SELECT a.id, c.parent_id FROM ancestors a JOIN categories c ON c.id = a.parent_id
    )
    UPDATE categories SET parent_id = NULL WHERE id IN (SELECT id FROM ancestors WHERE parent_id = id);
    DELETE FROM categories WHERE id IN (SELECT id FROM category_forms WHERE id <> kept);
    GET DIAGNOSTICS categories_merged = ROW_COUNT;
    UPDATE categories SET name = normalize(name, NFC) WHERE name IS NOT NFC NORMALIZED;

    UPDATE products p SET external_id = normalize(p.external_id, NFC)
    WHERE p.id = ANY (changed) AND p.external_id IS NOT NFC NORMALIZED
      AND NOT EXISTS (SELECT FROM products o WHERE o.external_id = normalize(p.external_id, NFC))
      AND NOT EXISTS (SELECT FROM products o WHERE o.id = ANY (changed) AND o.id < p.id
                      AND normalize(o.external_id, NFC) = normalize(p.external_id, NFC));
    -- the trigger writes the search document, also where only the category's name has changed
    UPDATE products p SET document = '', name = normalize(name, NFC), description = normalize(description, NFC),
        brand = normalize(brand, NFC),
        tags = ARRAY(SELECT form FROM (SELECT normalize(tag, NFC) AS form, min(place) AS place
                                       FROM unnest(p.tags) WITH ORDINALITY AS listed(tag, place) GROUP BY 1) AS forms
                     ORDER BY place)
    WHERE id = ANY (changed);
    products_changed := cardinality(changed);
    UPDATE rules SET brand = normalize(brand, NFC), tag = normalize(tag, NFC)
    WHERE brand IS NOT NFC NORMALIZED OR tag IS NOT NFC NORMALIZED;

    -- Preferences for the forms of one text add up at the time of the latest, halving every 14 days as they do.
    IF cardinality(labels) > 0 OR categories_merged > 0 THEN
        WITH moved AS (
            DELETE FROM user_preferences u
            WHERE (u.kind IN ('brand', 'tag') AND u.key = ANY (labels))
               OR (u.kind = 'category' AND u.key IN (SELECT id::text FROM category_forms WHERE id <> kept))
            RETURNING u.user_id, u.kind, u.score, u.as_of,
                CASE WHEN u.kind = 'category' THEN (SELECT kept::text FROM category_forms WHERE id::text = u.key)
                     ELSE normalize(u.key, NFC) END AS key
        ), latest AS (
            SELECT *, max(as_of) OVER (PARTITION BY user_id, kind, key) AS latest FROM moved
        ), summed AS (
            SELECT user_id, kind, key, latest AS as_of, sum(score * power(
                2::float8, -least(extract(epoch FROM latest - as_of)::float8 / 1209600, 200))) AS score
            FROM latest GROUP BY 1, 2, 3, 4
        )
        INSERT INTO user_preferences AS stored (user_id, kind, key, score, as_of)
        SELECT user_id, kind, key, score, as_of FROM summed ORDER BY 1, 2, 3
        ON CONFLICT (user_id, kind, key) DO UPDATE SET
            score = stored.score * power(2::float8, -least(extract(epoch FROM
                        greatest(stored.as_of, EXCLUDED.as_of) - stored.as_of)::float8 / 1209600, 200))
                  + EXCLUDED.score * power(2::float8, -least(extract(epoch FROM
                        greatest(stored.as_of, EXCLUDED.as_of) - EXCLUDED.as_of)::float8 / 1209600, 200)),
            as_of = greatest(stored.as_of, EXCLUDED.as_of);
    END IF;

    IF products_changed > 0 THEN
        PERFORM refresh_search_words(changed);
        PERFORM refresh_content(changed);
    END IF;
    ids_left := (SELECT count(*) FROM products WHERE id = ANY (changed) AND external_id IS NOT NFC NORMALIZED);
    DROP TABLE category_forms;
END $$;

SELECT make_catalog_canonical();
