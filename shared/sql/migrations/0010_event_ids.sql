-- Whether the id of an event is that of an order's line is looked up for every such event that arrives.
CREATE INDEX order_items_event ON order_items (event_id);
