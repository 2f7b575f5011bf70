"""How content neighbours are mixed with those of a model; no I/O.

score = max(collaborative, share · content), share = prior / (prior + evidence), where the evidence is how many users
the product shares with its collaborative neighbours (the sum of their co-occurrences): a new product has only its
content, with share 1; one that is well known keeps content for what is nearly the same thing.
"""

from typing import Final

# with this much evidence content counts half
EVIDENCE_PRIOR: Final = 5.0
# Directions of 128 signs: unrelated products are within ±0.09 (one deviation, 1/√128) of 0.
LEAST_CONTENT: Final = 0.2


def mixed(collaborative: float, content: float, evidence: float) -> float:
    """Return the mixed score of a neighbour, in [0, 1].

    SIMILAR in shared/storage/recommending/similar_products.py computes the same.
    """
    share = EVIDENCE_PRIOR / (EVIDENCE_PRIOR + evidence)
    return max(collaborative, share * content if content >= LEAST_CONTENT else 0.0)
