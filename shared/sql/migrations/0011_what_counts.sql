-- Which events count in what all shoppers see (shared/domain/counting.py). Rows of the previous release count.
ALTER TABLE events ADD COLUMN counted boolean NOT NULL DEFAULT true;
ALTER TABLE counted_purchases ADD COLUMN counted boolean NOT NULL DEFAULT true;

-- How often events counted today: per visitor and per client, each a hash. `scope` is the type of the events that
-- update_preferences counts, 'popular' for the purchases that update_popularity counts, and 'machine' for a visitor at a
-- rate that no person has, with product_id 0. The job retention deletes the rows.
CREATE TABLE daily_caps (
    day         date NOT NULL,
    party       bigint NOT NULL,
    product_id  bigint NOT NULL,
    scope       text NOT NULL,
    count       integer NOT NULL,
    PRIMARY KEY (day, party, product_id, scope)
) WITH (fillfactor = 80);
