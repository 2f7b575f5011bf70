-- Trainings outside this system: submitted by the job similarity, published by the job finish_training (docs/models.md).
-- `choice` is what the model is published with. A row without `ended_at` is open; there is at most one of a job.
CREATE TABLE training_batches (
    id            text PRIMARY KEY,
    job           text NOT NULL,
    started_at    timestamptz NOT NULL,
    submitted_at  timestamptz,
    ended_at      timestamptz,
    outcome       text CHECK (outcome IN ('published', 'kept')),
    reason        text,
    choice        jsonb NOT NULL
);
CREATE UNIQUE INDEX training_batches_open ON training_batches (job) WHERE ended_at IS NULL;
CREATE INDEX training_batches_started ON training_batches (job, started_at DESC);
