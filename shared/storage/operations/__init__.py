"""Running the shop: its settings and export, runs of jobs, imports and training, audit log, dashboard, daily counts,
retention, idempotency keys.

May import ``shared.clients`` and ``shared.logs``; only ``dashboard`` imports sibling packages, because it shows data of
all of them.
"""
