-- Purchases that name an order, what was given back of them, and the refunds that say so: docs/decisions/0044-one-reversal.md.

-- Pieces of a purchase that were given back. One that was given back whole has `counted = false`.
ALTER TABLE events ADD COLUMN returned integer NOT NULL DEFAULT 0;
-- Given back: never counted, or no longer. The row stays, so that a late purchase does not count again.
ALTER TABLE counted_purchases ADD COLUMN returned boolean NOT NULL DEFAULT false;

-- `event_id` is that of the event, `sent_id` the id that its sender gave it.
CREATE TABLE purchase_lines (
    event_id     uuid PRIMARY KEY,
    sent_id      uuid NOT NULL,
    user_id      bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    order_id     text NOT NULL,
    product_id   bigint NOT NULL,
    quantity     integer NOT NULL,
    price        numeric(12, 2),
    returned     integer NOT NULL DEFAULT 0,
    vouched      boolean NOT NULL,
    occurred_at  timestamptz NOT NULL
);
CREATE INDEX purchase_lines_order ON purchase_lines (user_id, order_id);
-- what a user gave back whole, for the user's own answers
CREATE INDEX purchase_lines_returned ON purchase_lines (user_id) INCLUDE (product_id, occurred_at)
    WHERE returned >= quantity;
CREATE INDEX purchase_lines_age ON purchase_lines USING brin (occurred_at);

-- Without a product the whole order, without a quantity all pieces of the product. `settled_at` is null while no
-- purchase of the order is known.
CREATE TABLE refunds (
    event_id     uuid PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    order_id     text NOT NULL,
    product_id   bigint,
    quantity     integer,
    vouched      boolean NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    settled_at   timestamptz
);
CREATE INDEX refunds_order ON refunds (user_id, order_id);
CREATE INDEX refunds_waiting ON refunds (received_at) WHERE settled_at IS NULL;
