-- Accounts: who a user is, how they log in, what they searched for; guests that became accounts; who was erased.

-- `role` is of accounts; a row without an email is a guest's or one of the shop's own ids.
ALTER TABLE users
    ADD COLUMN username       text,
    ADD COLUMN email          text,
    ADD COLUMN password_hash  text,
    ADD COLUMN role           text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'support', 'admin')),
    ADD COLUMN latitude       double precision CHECK (latitude BETWEEN -90 AND 90),
    ADD COLUMN longitude      double precision CHECK (longitude BETWEEN -180 AND 180),
    ADD COLUMN city           text,
    ADD COLUMN registered_at  timestamptz,
    -- the account that a guest became part of, once
    ADD COLUMN merged_into    bigint REFERENCES users (id) ON DELETE SET NULL,
    ADD COLUMN merged_at      timestamptz,
    ADD CHECK ((latitude IS NULL) = (longitude IS NULL)),
    ADD CHECK ((email IS NULL) = (password_hash IS NULL));
CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX users_username ON users (lower(username)) WHERE username IS NOT NULL;
CREATE INDEX users_merged ON users (merged_into) WHERE merged_into IS NOT NULL;

-- A token is only known by its digest. Those that follow each other from one login are a family, which ends as a whole
-- when one of them is used twice.
CREATE TABLE refresh_tokens (
    digest      bytea PRIMARY KEY,
    user_id     bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    family      uuid NOT NULL,
    issued_at   timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    revoked_at  timestamptz
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);

-- `subject` is a digest of an email (whether it is anybody's or not) or of an address.
CREATE TABLE login_failures (
    subject       bytea PRIMARY KEY,
    failures      integer NOT NULL,
    last_at       timestamptz NOT NULL,
    locked_until  timestamptz
);
CREATE INDEX login_failures_age ON login_failures (last_at);

CREATE TABLE search_history (
    user_id   bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    query     text NOT NULL,
    searches  integer NOT NULL DEFAULT 1,
    first_at  timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, query)
) WITH (fillfactor = 80);
CREATE INDEX search_history_age ON search_history USING brin (last_at);

-- Digests of ids that we made and that were erased: an event that was on its way must not bring its user back. One of
-- the shop's own ids may come back: it is the shop's to give.
CREATE TABLE erased_users (
    digest     bytea PRIMARY KEY,
    erased_at  timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION stay_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM erased_users WHERE digest = sha256(convert_to(NEW.external_id, 'UTF8'))) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER users_stay_erased BEFORE INSERT ON users
    FOR EACH ROW WHEN (starts_with(NEW.external_id, 'acct_') OR starts_with(NEW.external_id, 'guest_'))
    EXECUTE FUNCTION stay_erased();
