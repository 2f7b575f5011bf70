-- More kinds of recommendations: bought together, buy again, content neighbours; rules; attribution. docs/kinds.md

-- Written whole by the job bought_together, in one transaction. `others` best first by cosine, all arrays alike long.
CREATE TABLE bought_together (
    product_id  bigint PRIMARY KEY,
    others      bigint[] NOT NULL,
    scores      real[] NOT NULL,
    lifts       real[] NOT NULL,
    confidences real[] NOT NULL,
    counts      integer[] NOT NULL
);

-- How long until a product is bought again by the same person. Product 0 is the whole shop.
CREATE TABLE product_intervals (
    product_id    bigint PRIMARY KEY,
    median_days   double precision CHECK (median_days > 0),
    gaps          integer NOT NULL,
    -- of those who bought it, how many did again; drawn towards the shop's share where few bought it
    repeat_share  double precision NOT NULL CHECK (repeat_share BETWEEN 0 AND 1)
);

-- What an admin wants shown more, less, at a place, or not at all. What is selected must match all that is given.
CREATE TABLE rules (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('pin', 'boost', 'bury', 'exclude')),
    product_id   bigint REFERENCES products (id) ON DELETE CASCADE,
    category_id  bigint REFERENCES categories (id) ON DELETE CASCADE,
    brand        text,
    tag          text,
    price_min    numeric(12, 2),
    price_max    numeric(12, 2),
    factor       double precision CHECK (factor > 0),
    position     integer CHECK (position BETWEEN 1 AND 100),
    starts_at    timestamptz,
    ends_at      timestamptz,
    active       boolean NOT NULL DEFAULT true,
    note         text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(product_id, category_id, brand, tag, price_min, price_max) > 0),
    CHECK (kind <> 'pin' OR (product_id IS NOT NULL AND position IS NOT NULL)),
    CHECK (kind NOT IN ('boost', 'bury') OR factor IS NOT NULL),
    CHECK (price_min <= price_max),
    CHECK (starts_at < ends_at)
);

-- The rules in force now; `categories` are the rule's and all below it.
CREATE VIEW active_rules AS
SELECT r.*, CASE WHEN r.category_id IS NOT NULL THEN ARRAY(
    WITH RECURSIVE subtree AS (
        SELECT r.category_id AS id UNION SELECT c.id FROM categories c JOIN subtree s ON c.parent_id = s.id)
    SELECT id FROM subtree) END AS categories
FROM rules r
WHERE r.active AND coalesce(r.starts_at <= now(), true) AND coalesce(r.ends_at > now(), true);

-- What no recommendation may show. A loop over the rules, so that a shop without any pays nothing.
CREATE FUNCTION excluded_by_rules() RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 10 AS $$
DECLARE
    r active_rules;
BEGIN
    FOR r IN SELECT * FROM active_rules WHERE kind = 'exclude' LOOP
        RETURN QUERY SELECT p.id FROM products p
        WHERE (r.product_id IS NULL OR p.id = r.product_id)
          AND (r.categories IS NULL OR p.category_id = ANY (r.categories))
          AND (r.brand IS NULL OR p.brand = r.brand)
          AND (r.tag IS NULL OR p.tags @> ARRAY[r.tag])
          AND (r.price_min IS NULL OR p.price >= r.price_min)
          AND (r.price_max IS NULL OR p.price <= r.price_max);
    END LOOP;
END $$;

-- Attribution: each computed answer, what shoppers did with it, and both counted per day.
CREATE TABLE recommendation_log (
    id             uuid PRIMARY KEY,
    user_id        text NOT NULL,
    kind           text NOT NULL,
    strategy       text NOT NULL,
    model_version  integer,
    product_ids    bigint[] NOT NULL,
    at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recommendation_log_age ON recommendation_log USING brin (at);

CREATE TABLE recommendation_feedback (
    recommendation_id  uuid NOT NULL,
    product_id         bigint NOT NULL,
    action             text NOT NULL CHECK (action IN ('impression', 'click', 'add_to_cart', 'purchase')),
    position           integer,
    at                 timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (recommendation_id, product_id, action)
);
CREATE INDEX recommendation_feedback_age ON recommendation_feedback USING brin (at);

CREATE TABLE recommendation_stats (
    date           date NOT NULL,
    kind           text NOT NULL,
    strategy       text NOT NULL,
    model_version  integer NOT NULL,
    answers        bigint NOT NULL,
    impressions    bigint NOT NULL,
    clicks         bigint NOT NULL,
    add_to_carts   bigint NOT NULL,
    purchases      bigint NOT NULL,
    converted      bigint NOT NULL,
    PRIMARY KEY (date, kind, strategy, model_version)
);

-- A statement that only logs need not wait for the disk: what a crash of the server loses is a second of it.
CREATE FUNCTION without_waiting() RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT set_config('synchronous_commit', 'off', true) IS NOT NULL
$$;

-- Counted days of attribution. A purchase within 24 hours belongs to the last answer that showed the product to that
-- user, whether the storefront reported it or not; version 0: no model.
CREATE FUNCTION attribution(first date, last date) RETURNS SETOF recommendation_stats LANGUAGE sql STABLE AS $$
    WITH answers AS MATERIALIZED (
        SELECT l.*, (l.at AT TIME ZONE 'UTC')::date AS day FROM recommendation_log l
        WHERE l.at >= first::timestamp AT TIME ZONE 'UTC' AND l.at < (last + 1)::timestamp AT TIME ZONE 'UTC'
    ), shown AS MATERIALIZED (
        SELECT a.id, u.id AS user_id, s.product_id, a.at
        FROM answers a JOIN users u ON u.external_id = a.user_id, unnest(a.product_ids) AS s(product_id)
    ), done AS (
        SELECT DISTINCT ON (e.event_id) s.id, s.product_id, e.event_type AS action
        FROM events e JOIN shown s ON s.user_id = e.user_id AND s.product_id = e.product_id
             AND e.occurred_at >= s.at AND e.occurred_at < s.at + interval '24 hours'
        WHERE e.event_type IN ('purchase', 'add_to_cart')
          AND e.occurred_at >= first::timestamp AT TIME ZONE 'UTC'
          AND e.occurred_at < (last + 2)::timestamp AT TIME ZONE 'UTC'
        ORDER BY e.event_id, s.at DESC, s.id DESC
    ), acted AS (
        SELECT id, product_id, action FROM done
        UNION
        SELECT f.recommendation_id, f.product_id, f.action FROM recommendation_feedback f JOIN answers a ON a.id = f.recommendation_id
    ), counted AS (
        SELECT id, count(*) FILTER (WHERE action = 'impression') AS impressions,
               count(*) FILTER (WHERE action = 'click') AS clicks,
               count(*) FILTER (WHERE action = 'add_to_cart') AS add_to_carts,
               count(*) FILTER (WHERE action = 'purchase') AS purchases
        FROM acted GROUP BY id
    )
    SELECT a.day, a.kind, a.strategy, coalesce(a.model_version, 0), count(*),
           coalesce(sum(c.impressions), 0)::bigint, coalesce(sum(c.clicks), 0)::bigint,
           coalesce(sum(c.add_to_carts), 0)::bigint, coalesce(sum(c.purchases), 0)::bigint,
           count(*) FILTER (WHERE c.purchases > 0)
    FROM answers a LEFT JOIN counted c USING (id) GROUP BY 1, 2, 3, 4
$$;

-- Content neighbours: each word of the search documents has a direction of 128 signs, taken from its digest (signed
-- random projection, Charikar 2002); a product points where its words do, weighted by TF-IDF and by where they stand.
CREATE TABLE content_words (
    word       text PRIMARY KEY,
    products   integer NOT NULL,
    direction  vector(128) NOT NULL
);
-- A table of its own: rows of products are rewritten by every write to them. Only what is active is in it.
CREATE TABLE product_content (
    product_id  bigint PRIMARY KEY REFERENCES products (id) ON DELETE CASCADE,
    embedding   vector(128) NOT NULL
);
CREATE INDEX product_content_near ON product_content USING hnsw (embedding vector_cosine_ops) WITH (m = 8, ef_construction = 32);

CREATE FUNCTION content_direction(word text) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((2 * get_bit(digest, n) - 1)::real ORDER BY n)::vector(128)
    FROM (SELECT sha256(convert_to(word, 'UTF8')) AS digest) AS d, generate_series(0, 127) AS n
$$;

-- Bring the content of these products (NULL: of all) up to date; returns how many changed. With NULL the words
-- are counted anew; otherwise words not met before count as met once until the next time.
CREATE FUNCTION refresh_content(changed bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    total     float8;
    affected  integer;
BEGIN
    PERFORM lock_search_words();
    IF changed IS NULL THEN
        MERGE INTO content_words AS w USING (
            SELECT word, ndoc AS products FROM ts_stat('SELECT document FROM products WHERE is_active')
            WHERE word ~ '^[[:alpha:]]{2,40}$'
        ) AS s ON w.word = s.word
        WHEN MATCHED AND w.products <> s.products THEN UPDATE SET products = s.products
        WHEN NOT MATCHED BY TARGET THEN INSERT VALUES (s.word, s.products, content_direction(s.word))
        WHEN NOT MATCHED BY SOURCE THEN DELETE;
        DELETE FROM product_content c WHERE NOT EXISTS (SELECT FROM products p WHERE p.id = c.product_id AND p.is_active);
    ELSE
        INSERT INTO content_words
        SELECT DISTINCT t.lexeme, 1, content_direction(t.lexeme)
        FROM products p, unnest(p.document) AS t
        WHERE p.id = ANY (changed) AND t.lexeme ~ '^[[:alpha:]]{2,40}$'
          AND NOT EXISTS (SELECT FROM content_words w WHERE w.word = t.lexeme);
        DELETE FROM product_content c
        WHERE c.product_id = ANY (changed)
          AND NOT EXISTS (SELECT FROM products p WHERE p.id = c.product_id AND p.is_active);
    END IF;
    SELECT greatest(count(*), 1) INTO total FROM products WHERE is_active;
    INSERT INTO product_content AS c
    SELECT p.id, l2_normalize(sum(w.direction * array_fill((
               ln(1 + total / w.products) * CASE WHEN 'A' = ANY (t.weights) THEN 1.0 WHEN 'B' = ANY (t.weights) THEN 0.8
                                                 ELSE 0.4 END)::real, ARRAY[128])::vector))
    FROM products p, unnest(p.document) AS t JOIN content_words w ON w.word = t.lexeme
    WHERE p.is_active AND (changed IS NULL OR p.id = ANY (changed))
    GROUP BY p.id
    ON CONFLICT (product_id) DO UPDATE SET embedding = EXCLUDED.embedding WHERE c.embedding <> EXCLUDED.embedding;
    GET DIAGNOSTICS affected = ROW_COUNT;
    RETURN affected;
END $$;

-- Once per statement that adds products. One that makes the shop a quarter larger counts all words anew. Named so that
-- it follows products_add_search_words, which takes the lock first.
CREATE FUNCTION add_content() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more  bigint := (SELECT count(*) FROM added);
BEGIN
    IF more > 0 THEN
        PERFORM refresh_content(CASE WHEN more * 4 <= (SELECT count(*) FROM product_content)
                                     THEN ARRAY(SELECT id FROM added) END);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER products_content AFTER INSERT ON products
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_content();

SELECT refresh_content(NULL);
