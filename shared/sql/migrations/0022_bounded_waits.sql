-- What outlasts a fault of a service, and for how long: docs/decisions/0052-bounded-waits.md

-- A claim of an Idempotency-Key says for how long its owner can be at work, and has a name by which the owner releases
-- it even if the answer to the claim was lost. The previous release writes and reads neither column; NULL stands for
-- its minute.
ALTER TABLE idempotency_keys ADD COLUMN claim uuid, ADD COLUMN claim_s double precision;

-- Scopes whose stored answers could not be dropped because Redis failed. A process drops them itself once Redis is
-- back; these rows are for processes that end before.
CREATE TABLE missed_invalidations (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope     text NOT NULL,
    missed_at timestamptz NOT NULL DEFAULT now()
);
