-- What is trending in a category, without looking at what is trending elsewhere.

ALTER TABLE trending_scores ADD COLUMN category_id bigint;
UPDATE trending_scores t SET category_id = p.category_id FROM products p WHERE p.id = t.product_id;
CREATE INDEX trending_scores_by_category ON trending_scores (time_window, category_id, score DESC, product_id);
