-- A product without an image of its own has a drawn picture, which the function web serves: docs/decisions/0067-pictures.md
--
-- The address is no column, so that it follows the installation and no export or change stores it. Each connection sets
-- aisle.public_url from PUBLIC_URL; without it, as in the previous release, such a product has no image.
CREATE OR REPLACE FUNCTION product_json(p products, c categories, s product_stats) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p.id, 'external_id', p.external_id, 'item_group_id', p.item_group_id, 'name', p.name,
        'variant_title', p.variant_title,
        'description', p.description, 'price', p.price, 'list_price', p.list_price, 'currency', p.currency,
        'image_url', coalesce(
            p.image_url, nullif(current_setting('aisle.public_url', true), '') || '/images/' || p.id || '.svg'),
        'category_id', p.category_id, 'category', c.leaf, 'category_path', c.path,
        'further_categories', CASE WHEN p.further_category_ids = '{}' THEN '{}'::text[] ELSE ARRAY(
            SELECT f.path FROM categories f WHERE f.id = ANY (p.further_category_ids) ORDER BY f.path) END,
        'brand', p.brand, 'tags', p.tags, 'quantity', p.quantity, 'stock_counted', p.stock_counted,
        'is_active', p.is_active,
        'available_from', p.available_from, 'average_rating', p.average_rating, 'review_count', p.review_count,
        'latitude', p.latitude, 'longitude', p.longitude,
        'views', coalesce(s.views, 0), 'purchase_count', coalesce(s.purchase_count, 0),
        'created_at', p.created_at, 'updated_at', p.updated_at)
$$;
