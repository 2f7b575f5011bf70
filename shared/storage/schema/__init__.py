"""The schema of the database: migrations, roles and grants, and the numbers of advisory locks.

May import ``shared.clients`` only. ``advisory_locks`` is imported by whatever takes such a lock.
"""
