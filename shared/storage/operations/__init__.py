"""Running the shop: runs of jobs and training, audit log, dashboard, daily counts, retention, idempotency keys.

May import ``shared.clients`` and ``shared.logs``; only ``dashboard`` imports other rooms, because it shows all of them.
"""
