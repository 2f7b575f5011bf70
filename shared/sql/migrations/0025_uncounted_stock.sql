-- Products that are in stock or not, without a number of pieces: docs/import.md
ALTER TABLE products ADD COLUMN stock_counted boolean NOT NULL DEFAULT true;

-- The exact `Product` of the API. With the category as a row, it needs no look-up of its path.
CREATE OR REPLACE FUNCTION product_json(p products, c categories, s product_stats) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p.id, 'external_id', p.external_id, 'item_group_id', p.item_group_id, 'name', p.name,
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
