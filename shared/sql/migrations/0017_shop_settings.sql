-- The shop's own settings: one row. docs/shop.md

CREATE TABLE shop (
    is_only           boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    name              text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    currency          text CHECK (currency ~ '^[A-Z]{3}$'),
    time_zone         text NOT NULL DEFAULT 'UTC',
    -- NULL: words are compared as they are, without stems and stop words
    search_language   text,
    unknown_products  text NOT NULL DEFAULT 'reject' CHECK (unknown_products IN ('reject', 'stub')),
    updated_at        timestamptz NOT NULL DEFAULT now()
);
-- A shop that has products was indexed in English until now, and stays so.
INSERT INTO shop (search_language) SELECT CASE WHEN EXISTS (SELECT FROM products) THEN 'english' END;

-- Stubs, which are counted before another is added: shared/storage/catalog/stubs.py
CREATE INDEX products_stubs ON products (id) WHERE NOT is_active AND price = 0 AND name = external_id;

-- The day of a time as the shop's clocks show it.
CREATE FUNCTION shop_day(at timestamptz) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT (at AT TIME ZONE (SELECT time_zone FROM shop))::date
$$;
-- When that day began.
CREATE FUNCTION shop_midnight(day date) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT day::timestamp AT TIME ZONE (SELECT time_zone FROM shop)
$$;
