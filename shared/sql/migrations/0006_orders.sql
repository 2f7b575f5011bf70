-- Cart, orders, payments, wishlist. docs/decisions/0009-checkout.md says how a checkout goes.

-- price_when_added is what the shopper saw; the price that counts is read at checkout.
CREATE TABLE cart_items (
    user_id           bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    product_id        bigint NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    quantity          integer NOT NULL CHECK (quantity BETWEEN 1 AND 999),
    price_when_added  numeric(12, 2) NOT NULL,
    added_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, product_id)
) WITH (fillfactor = 80);

CREATE TABLE wishlist_items (
    user_id     bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    product_id  bigint NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    added_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, product_id)
);

-- An order outlives the identity of who placed it: user_id goes, what was sold stays.
CREATE TABLE orders (
    id            uuid PRIMARY KEY,
    user_id       bigint REFERENCES users (id) ON DELETE SET NULL,
    -- derived from the shopper and the Idempotency-Key: a request repeated after a crash finds its order.
    -- Empty once the order was given up, so that the shopper may try again with the same key.
    checkout_id   uuid UNIQUE,
    request_hash  bytea NOT NULL,
    state         text NOT NULL CHECK (state IN ('placed', 'paid', 'shipped', 'cancelled', 'refunded')),
    total         numeric(14, 2) NOT NULL CHECK (total >= 0),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX orders_of_user ON orders (user_id, created_at DESC, id DESC);
CREATE INDEX orders_unpaid ON orders (created_at) WHERE state = 'placed';

-- What was sold, as it was then. event_id: the id under which the purchase counts once, whoever reports it.
CREATE TABLE order_items (
    order_id          uuid NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    product_id        bigint NOT NULL REFERENCES products (id),
    external_id       text NOT NULL,
    name              text NOT NULL,
    quantity          integer NOT NULL CHECK (quantity > 0),
    price             numeric(12, 2) NOT NULL,
    event_id          uuid NOT NULL,
    -- of the cart's line, so that a failed payment gives it back as it was
    price_when_added  numeric(12, 2) NOT NULL,
    added_at          timestamptz NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

CREATE TABLE order_state_changes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id    uuid NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    state       text NOT NULL,
    reason      text,
    changed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX order_state_changes_of_order ON order_state_changes (order_id, id);

-- The order's id is the reference that the provider knows the payment by.
-- release_due: the shopper must not stay charged; said to the provider until it has understood.
CREATE TABLE payments (
    order_id    uuid PRIMARY KEY REFERENCES orders (id) ON DELETE CASCADE,
    provider    text NOT NULL,
    state       text NOT NULL CHECK (state IN ('pending', 'approved', 'release_due', 'released')),
    amount      numeric(14, 2) NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payments_release_due ON payments (updated_at) WHERE state = 'release_due';
