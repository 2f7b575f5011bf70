-- Links that are mailed to an account's address, or handed to a new admin, each used once; and verified addresses.

ALTER TABLE users ADD COLUMN email_verified_at timestamptz;

-- Another address has not been verified, whatever code changed it. Case makes no other address.
CREATE FUNCTION unverify_changed_email() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF lower(NEW.email) IS DISTINCT FROM lower(OLD.email) THEN
        NEW.email_verified_at := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER users_unverify_changed_email BEFORE UPDATE OF email ON users
    FOR EACH ROW EXECUTE FUNCTION unverify_changed_email();

-- A link is known by its digest only. It is valid while the account has this address and, if it sets a password, while
-- no password was set and no sessions were ended since: those raise the account's epoch.
CREATE TABLE account_links (
    digest         bytea PRIMARY KEY,
    user_id        bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose        text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'set_password')),
    email          text NOT NULL,
    session_epoch  integer NOT NULL,
    issued_at      timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL
);
-- a newer link replaces the account's earlier one
CREATE UNIQUE INDEX account_links_user ON account_links (user_id, purpose);
CREATE INDEX account_links_age ON account_links (expires_at);
