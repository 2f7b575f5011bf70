-- Indexes on prices and counts by price steps, after the types of prices have changed. Readers pass while they are built.
-- docs/decisions/0049-decimals-of-currencies.md

LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE;
CREATE INDEX products_by_price ON products (price, id) WHERE is_active;
CREATE INDEX products_stubs ON products (id) WHERE NOT is_active AND price = 0 AND name = external_id;
ALTER TABLE products VALIDATE CONSTRAINT products_price_check, VALIDATE CONSTRAINT products_list_price_check;
ALTER TABLE orders VALIDATE CONSTRAINT orders_total_check;

-- Only rows of this transaction's snapshot are counted: no writer comes between the triggers and this count.
DELETE FROM catalog_counts;
DELETE FROM catalog_groups;
DELETE FROM catalog_group_counts;
DELETE FROM catalog_changed_groups;
INSERT INTO catalog_counts (category_ids, band, in_stock, is_variant, tag, n, price_step)
SELECT categories_of(category_id, further_category_ids), price_band(price), quantity > 0, item_group_id IS NOT NULL,
       tag, count(*), price_step_of(price)
FROM products, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(tags)) AS each(tag)
WHERE is_active GROUP BY 1, 2, 3, 4, 5, 7;
INSERT INTO catalog_groups SELECT * FROM catalog_variants;
INSERT INTO catalog_group_counts
SELECT c.tag, c.cells, count(*) FROM catalog_groups g, group_cells(g.variants) AS c GROUP BY 1, 2;
