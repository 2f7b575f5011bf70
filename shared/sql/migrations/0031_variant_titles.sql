-- Size, colour and other options of a variant, beside the title that all variants share:
-- docs/decisions/0056-titles-of-variants.md

ALTER TABLE products ADD COLUMN variant_title text;
ALTER TABLE order_items ADD COLUMN variant_title text;

-- The exact `Product` of the API. With the category as a row, it needs no look-up of its path.
CREATE OR REPLACE FUNCTION product_json(p products, c categories, s product_stats) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p.id, 'external_id', p.external_id, 'item_group_id', p.item_group_id, 'name', p.name,
        'variant_title', p.variant_title,
        'description', p.description, 'price', p.price, 'list_price', p.list_price, 'currency', p.currency,
        'image_url', p.image_url, 'category_id', p.category_id, 'category', c.leaf, 'category_path', c.path,
        'further_categories', CASE WHEN p.further_category_ids = '{}' THEN '{}'::text[] ELSE ARRAY(
            SELECT f.path FROM categories f WHERE f.id = ANY (p.further_category_ids) ORDER BY f.path) END,
        'brand', p.brand, 'tags', p.tags, 'quantity', p.quantity, 'stock_counted', p.stock_counted,
        'is_active', p.is_active,
        'available_from', p.available_from, 'average_rating', p.average_rating, 'review_count', p.review_count,
        'latitude', p.latitude, 'longitude', p.longitude,
        'views', coalesce(s.views, 0), 'purchase_count', coalesce(s.purchase_count, 0),
        'created_at', p.created_at, 'updated_at', p.updated_at)
$$;

-- As before, with the variant's title. It is no part of the title: an exact title is that of all its variants.
CREATE OR REPLACE FUNCTION product_document(p products, category text) RETURNS tsvector LANGUAGE plpgsql STABLE AS $$
DECLARE
    language  text := (SELECT languages[1] FROM shop);
    -- parts of a generated id mean nothing; as a whole it is found by the index on external_id
    code      text := CASE WHEN p.external_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN p.external_id END;
BEGIN
    RETURN setweight(search_vector(language, p.name), 'A') ||
           setweight(search_vector(language, concat_ws(' ', p.brand, array_to_string(p.tags, ' '), code, category,
                                                       p.variant_title)), 'B') ||
           setweight(search_prose(language, p.description), 'C');
END $$;
CREATE OR REPLACE TRIGGER products_write_document
    BEFORE INSERT OR UPDATE OF name, description, brand, tags, category_id, external_id, variant_title, document ON products
    FOR EACH ROW EXECUTE FUNCTION write_product_document();
