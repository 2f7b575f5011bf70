-- The job daily_stats reads the days that changed, and nothing between them: docs/decisions/0080-days-that-changed.md. Events
-- are stored about when they occur, so a range of blocks has few days. The index is a few pages for a million events, and
-- costs a write nothing until vacuum or a full range of blocks summarises it. Building it reads the events once and makes
-- their writers wait; messages that time out meanwhile are delivered again.
CREATE INDEX events_times ON events USING brin (occurred_at, received_at) WITH (pages_per_range = 32, autosummarize = on);
