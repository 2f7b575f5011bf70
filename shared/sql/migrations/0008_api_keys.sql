-- API keys that were made, and which of them are revoked. Their secrets are nowhere: a key is checked by its MAC.
CREATE TABLE api_keys (
    id          text PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('publishable', 'secret')),
    name        text NOT NULL,
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);
CREATE INDEX api_keys_revoked ON api_keys (id) WHERE revoked_at IS NOT NULL;
