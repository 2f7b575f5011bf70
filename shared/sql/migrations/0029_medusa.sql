-- Feeds that are pulled from a shop's API, and webhooks: docs/decisions/0048-medusa.md

-- How far the pull of a feed has come, for feeds that are no file. A change of the feed forgets it.
ALTER TABLE feeds ADD COLUMN cursor jsonb;

-- The newest delivery about each product and order of the shop's system. One that was signed no later is refused: it is
-- a replay, or older than what is stored. Signatures are accepted for minutes, so rows are deleted after an hour.
CREATE TABLE webhook_deliveries (
    subject    text PRIMARY KEY,
    signed_at  timestamptz NOT NULL
);
