"""Carts, wishlists, orders and their payments. Whatever changes them holds the shopper's lock (``shoppers``).

May import ``shared.clients``, ``shared.domain`` and the rooms ``catalog`` (stock changes are announced), ``events``
(purchases leave by the outbox) and ``operations`` (the audit log).
"""
