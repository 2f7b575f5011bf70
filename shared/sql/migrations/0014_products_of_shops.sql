-- The shop's ids, groups of variants, prices before a sale, ratings and places; and categories that are paths.

ALTER TABLE products
    ADD COLUMN item_group_id text CHECK (item_group_id <> ''),
    ADD COLUMN list_price numeric(12, 2) CHECK (list_price >= 0),
    ADD COLUMN currency text CHECK (currency ~ '^[A-Z]{3}$'),
    ADD COLUMN average_rating numeric(3, 2) CHECK (average_rating BETWEEN 0 AND 5),
    ADD COLUMN review_count integer CHECK (review_count >= 0),
    ADD COLUMN available_from timestamptz,
    -- for filters and facets only; no foreign key, since no category is deleted but by make_catalog_canonical()
    ADD COLUMN further_category_ids bigint[] NOT NULL DEFAULT '{}';
CREATE INDEX products_item_group ON products (item_group_id) WHERE item_group_id IS NOT NULL;
CREATE INDEX products_place ON products (latitude, longitude) WHERE latitude IS NOT NULL;
CREATE INDEX products_further_categories ON products USING gin (further_category_ids) WITH (fastupdate = off);

-- A category is its path: `Women > Shoes` and `Men > Shoes` are two, and both have the leaf `Shoes`. The column `name`
-- stays unique, since the previous release inserts ON CONFLICT (name): the second category of a leaf has its path there.
-- Answers have `leaf` and `path`, filters take both, and searches find `leaf`.
ALTER TABLE categories ADD COLUMN leaf text, ADD COLUMN path text;
WITH RECURSIVE tree AS (
    SELECT id, name AS path FROM categories WHERE parent_id IS NULL
    UNION ALL SELECT c.id, tree.path || ' > ' || c.name FROM categories c JOIN tree ON c.parent_id = tree.id
), numbered AS (
    SELECT c.id, coalesce(tree.path, c.name) AS path,
           row_number() OVER (PARTITION BY coalesce(tree.path, c.name) ORDER BY c.id) AS copy
    FROM categories c LEFT JOIN tree USING (id)
)
UPDATE categories c SET leaf = c.name, path = n.path || CASE WHEN n.copy > 1 THEN ' (' || c.id || ')' ELSE '' END
FROM numbered n WHERE n.id = c.id;
ALTER TABLE categories ALTER COLUMN leaf SET NOT NULL, ALTER COLUMN path SET NOT NULL;
CREATE UNIQUE INDEX categories_path ON categories (path);
CREATE INDEX categories_parent ON categories (parent_id);
CREATE INDEX categories_lower_path ON categories (lower(path));
CREATE INDEX categories_lower_leaf ON categories (lower(leaf));

CREATE FUNCTION write_category_path() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.leaf := coalesce(NEW.leaf, NEW.name);
    ELSIF NEW.name <> OLD.name AND NEW.leaf = OLD.leaf AND OLD.leaf = OLD.name THEN
        NEW.leaf := NEW.name;
    END IF;
    NEW.path := coalesce((SELECT path FROM categories WHERE id = NEW.parent_id AND id <> NEW.id) || ' > ', '') || NEW.leaf;
    RETURN NEW;
END $$;
CREATE TRIGGER categories_write_path BEFORE INSERT OR UPDATE OF name, leaf, parent_id ON categories
    FOR EACH ROW EXECUTE FUNCTION write_category_path();
-- Paths below a category follow its own. The depth ends the recursion where a category is its own ancestor.
CREATE FUNCTION write_paths_below() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 20 THEN
        UPDATE categories SET parent_id = parent_id WHERE parent_id = NEW.id AND id <> NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER categories_write_paths_below AFTER INSERT OR UPDATE OF name, leaf, parent_id ON categories
    FOR EACH ROW EXECUTE FUNCTION write_paths_below();

-- The exact `Product` of the API. With the category as a row, it needs no look-up of its path.
CREATE FUNCTION product_json(p products, c categories, s product_stats) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p.id, 'external_id', p.external_id, 'item_group_id', p.item_group_id, 'name', p.name,
        'description', p.description, 'price', p.price, 'list_price', p.list_price, 'currency', p.currency,
        'image_url', p.image_url, 'category_id', p.category_id, 'category', c.leaf, 'category_path', c.path,
        'further_categories', CASE WHEN p.further_category_ids = '{}' THEN '{}'::text[] ELSE ARRAY(
            SELECT f.path FROM categories f WHERE f.id = ANY (p.further_category_ids) ORDER BY f.path) END,
        'brand', p.brand, 'tags', p.tags, 'quantity', p.quantity, 'is_active', p.is_active,
        'available_from', p.available_from, 'average_rating', p.average_rating, 'review_count', p.review_count,
        'latitude', p.latitude, 'longitude', p.longitude,
        'views', coalesce(s.views, 0), 'purchase_count', coalesce(s.purchase_count, 0),
        'created_at', p.created_at, 'updated_at', p.updated_at)
$$;
-- As the previous release calls it, which names the category by its unique name.
CREATE OR REPLACE FUNCTION product_json(p products, category text, s product_stats) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT product_json(p, (SELECT c FROM categories c WHERE c.id = p.category_id), s)
$$;

-- What an answer shows of a product whose variants it lists: the product itself or, where it is sold out, its variant in
-- stock that is bought most.
CREATE FUNCTION variant_in_stock(p products) RETURNS products LANGUAGE plpgsql STABLE AS $$
DECLARE
    variant products;
BEGIN
    IF p.item_group_id IS NOT NULL AND p.quantity = 0 THEN
        SELECT v.* INTO variant FROM products v LEFT JOIN product_stats s ON s.product_id = v.id
        WHERE v.item_group_id = p.item_group_id AND v.is_active AND v.quantity > 0
          AND v.id NOT IN (SELECT excluded_by_rules())
        ORDER BY s.purchase_count DESC NULLS LAST, v.id LIMIT 1;
        IF variant.id IS NOT NULL THEN
            RETURN variant;
        END IF;
    END IF;
    RETURN p;
END $$;

-- Brings stored texts of the catalog into NFC, as before; categories of one path, rather than of one name, become one.
CREATE OR REPLACE FUNCTION make_catalog_canonical(OUT categories_merged integer, OUT products_changed integer, OUT ids_left integer)
LANGUAGE plpgsql AS $$
DECLARE
    changed  bigint[];
    labels   text[];
BEGIN
    categories_merged := 0; products_changed := 0; ids_left := 0;
    -- in most runs there is nothing to do, and no import need wait
    IF NOT EXISTS (SELECT FROM categories WHERE path IS NOT NFC NORMALIZED)
       AND NOT EXISTS (SELECT FROM rules WHERE brand IS NOT NFC NORMALIZED OR tag IS NOT NFC NORMALIZED)
       AND NOT EXISTS (SELECT FROM products p WHERE NOT is_canonical(p)) THEN
        RETURN;
    END IF;
    -- before any lock on a product, like every writer of the vocabulary
    PERFORM lock_search_words();
    CREATE TEMP TABLE category_forms ON COMMIT DROP AS
    SELECT id, first_value(id) OVER (
               PARTITION BY normalize(path, NFC) ORDER BY path IS NFC NORMALIZED DESC, id) AS kept
    FROM categories
    WHERE normalize(path, NFC) IN (SELECT normalize(path, NFC) FROM categories WHERE path IS NOT NFC NORMALIZED);

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
    UPDATE products p SET further_category_ids = ARRAY(
        SELECT DISTINCT coalesce(f.kept, further.id) FROM unnest(p.further_category_ids) AS further(id)
        LEFT JOIN category_forms f ON f.id = further.id ORDER BY 1)
    WHERE p.further_category_ids && ARRAY(SELECT id FROM category_forms WHERE id <> kept);
    UPDATE categories c SET parent_id = f.kept FROM category_forms f
    WHERE f.id = c.parent_id AND f.id <> f.kept AND c.id NOT IN (SELECT id FROM category_forms WHERE id <> kept);
    DELETE FROM categories WHERE id IN (SELECT id FROM category_forms WHERE id <> kept);
    GET DIAGNOSTICS categories_merged = ROW_COUNT;
    UPDATE categories c SET leaf = normalize(leaf, NFC), name = CASE
            WHEN EXISTS (SELECT FROM categories o WHERE o.name = normalize(c.name, NFC) AND o.id <> c.id)
            THEN normalize(path, NFC) || ' (' || id || ')' ELSE normalize(name, NFC) END
    WHERE leaf IS NOT NFC NORMALIZED OR name IS NOT NFC NORMALIZED;

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

