"""Recommendations: candidates and user profiles, published models, computed lists, rules, attribution.

May import ``shared.clients``, ``shared.domain`` and the sibling packages ``answers`` (a publication drops stored
answers), ``operations`` (training runs) and ``schema`` (the lock of model versions).
"""
