"""Answers stored in Redis: the only package that knows its keys. Redis failures are logged and bypassed.

* ``protocol``: keys, scopes and the encoding of a stored answer
* ``shared_answers``: answers that are the same for every user
* ``user_answers``: the personal answers of one user
* ``answers_ahead``: personal answers that are computed before they are requested
* ``popular_ranking``: the live ranking by purchases
* ``invalidation``: dropping stored answers after a write
* ``missed``: invalidations that failed during a Redis outage, retried later
* ``epochs``: the first epoch of a scope
* ``lookups``: counts of cache hits and misses
"""
