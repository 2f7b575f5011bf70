-- Publications of the result that began and never reported an end, because their process was killed.
ALTER TABLE training_batches ADD COLUMN publications_begun integer NOT NULL DEFAULT 0;
