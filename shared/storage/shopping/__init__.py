"""Carts, wishlists, orders and their payments. All changes hold the shopper's lock (``shoppers``).

May import ``shared.clients``, ``shared.domain`` and the sibling packages ``catalog`` (stock changes are announced),
``events`` (purchases are published through the outbox) and ``operations`` (the audit log).
"""
