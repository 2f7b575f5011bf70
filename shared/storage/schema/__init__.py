"""The database schema: migrations, roles and grants, and the numbers of advisory locks.

May import ``shared.clients`` only. ``advisory_locks`` is imported by every module that takes such a lock.
"""
