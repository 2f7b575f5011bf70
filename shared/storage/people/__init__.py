"""People: accounts and guests, their logins and searches, and what happens when they merge, leave or ask for a copy.

May import ``shared.clients``, ``shared.domain``, the sibling packages ``shopping`` and ``events`` (orders and the
folding of events), and the audit log in ``operations`` (security events).
"""
