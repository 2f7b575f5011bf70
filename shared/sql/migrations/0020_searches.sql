-- What shoppers searched for: counted by day and text, without any user. docs/search.md

CREATE TABLE search_counts (
    day       date NOT NULL,
    query     text NOT NULL CHECK (query <> ''),
    searches  bigint NOT NULL,
    -- of the last search; NULL where a shop with its own search did not say
    results   bigint,
    last_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, query)
) WITH (fillfactor = 80);

-- One client counts once a day for a text, and for a bounded number of texts. Deleted after two days.
CREATE TABLE search_caps (
    day        date NOT NULL,
    client     text NOT NULL,
    query_key  bigint NOT NULL,
    PRIMARY KEY (day, client, query_key)
);
