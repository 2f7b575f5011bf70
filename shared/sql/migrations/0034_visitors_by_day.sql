-- Visitors of each day, of whom some came for the first time: docs/console.md. The job daily_stats counts the last days; with
-- `days` it counts earlier ones. A day without a row is counted where it is read.
CREATE TABLE daily_visitor_stats (
    date          date PRIMARY KEY,
    visitors      bigint NOT NULL,
    new_visitors  bigint NOT NULL
);
