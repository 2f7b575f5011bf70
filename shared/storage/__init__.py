"""Everything that Aisle stores, by subject. Each SQL statement is a constant beside the function that runs it.

* ``catalog``       products, categories, search
* ``shopping``      carts, wishlists, orders, payments
* ``people``        accounts, logins, merging, erasure, export
* ``events``        events, from message to table; outbox, rejected events, dead letters
* ``recommending``  candidates, models, lists and rules of recommendations
* ``answers``       stored answers in Redis
* ``operations``    runs of jobs, audit log, dashboard, retention, idempotency keys
* ``schema``        migrations, database roles, advisory locks

Storage may import ``shared.clients``, ``shared.domain``, ``shared.settings``, ``shared.errors`` and
``shared.messages``; never ``shared.http``, ``functions`` or ``jobs``. See docs/architecture.md.
"""
