"""Events: storing them from messages or in bulk, rejected events, and the outbox.

May import ``shared.clients``, ``shared.domain`` and ``shared.messages``, but no sibling package.
"""
