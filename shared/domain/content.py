"""Mixing content neighbours with the neighbours of a model. No I/O.

score = max(collaborative, share · content) with share = prior / (prior + evidence). The evidence of a product is the
sum of its co-occurrences with its collaborative neighbours. A new product has share 1 and relies on content alone; a
well-known product keeps only the content neighbours that are almost identical to it.
"""

from typing import Final

# the evidence at which content counts half
EVIDENCE_PRIOR: Final = 5.0
# Embeddings are 128 random signs: similarities of unrelated products deviate from 0 by 1/√128 = 0.09.
LEAST_CONTENT: Final = 0.2


def mixed(collaborative: float, content: float, evidence: float) -> float:
    """Return the score of a neighbour, in [0, 1].

    The statement SIMILAR in shared/storage/recommending/similar_products.py computes the same.
    """
    share = EVIDENCE_PRIOR / (EVIDENCE_PRIOR + evidence)
    return max(collaborative, share * content if content >= LEAST_CONTENT else 0.0)
