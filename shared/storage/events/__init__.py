"""Events: storing them from messages or in bulk, what is rejected, and the messages that leave with a transaction.

May import ``shared.clients``, ``shared.domain`` and ``shared.messages``, and no other room.
"""
