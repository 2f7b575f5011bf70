-- How often the publication of a training's result was begun without an end: a process that is killed reports nothing.
ALTER TABLE training_batches ADD COLUMN publications_begun integer NOT NULL DEFAULT 0;
