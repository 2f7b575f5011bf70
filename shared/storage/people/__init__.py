"""People: accounts and guests, their logins and searches, and what happens when they merge, leave or ask for a copy.

May import ``shared.clients``, ``shared.domain``, for orders and the folding of events the rooms ``shopping`` and
``events``, and for security events the audit log in ``operations``.
"""
