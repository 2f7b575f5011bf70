"""The catalog in Postgres: products and categories, their search, and everything that writes them.

* ``products``, ``product_pages`` with ``page_fragments``, ``browsing``, ``categories``: reading; ``catalog_counts``:
  the counts that browsing reads; ``product_ids``: products by either id; ``variants``: one product per group
* ``text_query``, ``corrections``, ``suggestions``, ``synonyms``, ``search_index``: search by text
* ``searches``: what shoppers searched for
* ``product_writes`` (one product at a time, audited), ``bulk_writes`` (many at once), and ``category_paths``,
  which finds or creates the categories that they name
* ``feeds``: scheduled feeds and their products; ``stubs``: products that events named first

May import ``shared.clients``, ``shared.domain``, the sibling package ``events`` (writes are announced through the
outbox) and the shop's settings from ``operations``.
"""
