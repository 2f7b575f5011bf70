-- Scheduled feeds, and what became of every import.

CREATE TABLE feeds (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL CHECK (name <> ''),
    url             text NOT NULL,
    preset          text,
    columns         text,
    separator       text,
    encoding        text,
    decimal         text,
    format          text,
    every_minutes   integer NOT NULL CHECK (every_minutes BETWEEN 15 AND 10080),
    -- the name of a secret, never its value
    credentials     text CHECK (credentials LIKE 'aisle-feed-%'),
    max_gone_share  double precision NOT NULL CHECK (max_gone_share BETWEEN 0 AND 1),
    is_active       boolean NOT NULL DEFAULT true,
    -- of the file that was imported last; a change of the feed forgets them
    etag            text,
    last_modified   text,
    digest          text,
    next_run_at     timestamptz NOT NULL DEFAULT now(),
    last_run_at     timestamptz,
    last_outcome    text CHECK (last_outcome IN ('imported', 'unchanged', 'failed')),
    last_detail     text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE imports (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('post', 'job', 'feed')),
    feed_id       bigint REFERENCES feeds (id) ON DELETE SET NULL,
    source        text NOT NULL,
    state         text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'succeeded', 'failed')),
    rows_read     bigint NOT NULL DEFAULT 0,
    rows_written  bigint NOT NULL DEFAULT 0,
    rows_refused  bigint NOT NULL DEFAULT 0,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz,
    report        jsonb
);
CREATE INDEX imports_age ON imports USING brin (started_at);
CREATE INDEX imports_of_feed ON imports (feed_id) WHERE feed_id IS NOT NULL;

-- Which products a feed has. `is_own`: the feed created it, and hides it when it vanishes from the feed. `hidden_at`: it
-- was hidden for that reason. `import_id`: the last import whose file had it.
CREATE TABLE feed_products (
    feed_id      bigint NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    external_id  text NOT NULL,
    import_id    bigint NOT NULL,
    is_own       boolean NOT NULL,
    hidden_at    timestamptz,
    PRIMARY KEY (feed_id, external_id)
);
CREATE INDEX feed_products_external_id ON feed_products (external_id);
