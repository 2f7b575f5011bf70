"""Recommendations: candidates with what is known of the user, published models, computed lists, rules, attribution.

May import ``shared.clients``, ``shared.domain`` and the rooms ``answers`` (a publication drops stored answers),
``operations`` (training runs) and ``schema`` (the lock of model versions).
"""
