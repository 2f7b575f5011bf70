"""The line of a finished job names the model that it chose, and what the model was compared with."""

from typing import Any

import pytest

from local.jobs import outcome

CHOSEN: dict[str, Any] = {
    "outcome": "published",
    "algorithm": "ease",
    "why": "best of 3 trials on 900 held-out users",
    "ndcg@20": 0.1234,
    "candidates": [
        {"algorithm": "ease", "ndcg@20": 0.1234},
        {"algorithm": "als", "ndcg@20": None},
        {"algorithm": "popularity", "ndcg@20": 0.0411},
    ],
}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"job": "trending", "seconds": 1.0}, ""),
        (
            CHOSEN,
            "; published ease, best of 3 trials on 900 held-out users; NDCG@20: ease 0.123, popularity 0.041",
        ),
        (
            CHOSEN | {"algorithm": "popularity", "ndcg@20": 0.0411},
            "; published popularity, best of 3 trials on 900 held-out users; NDCG@20: popularity 0.041",
        ),
        (
            {"outcome": "published", "algorithm": "cosine", "why": "safe default: 9 events", "ndcg@20": None},
            "; published cosine, safe default: 9 events",
        ),
        (
            {"outcome": "kept", "reason": "events of one product only"},
            "; kept the active model: events of one product only",
        ),
        (
            CHOSEN | {"drift": {"drifted": True, "since_version": 4, "reasons": ["sales fell", "all is new"]}},
            "; published ease, best of 3 trials on 900 held-out users; NDCG@20: ease 0.123, popularity 0.041"
            "; drifted since version 4: sales fell, all is new",
        ),
        (
            CHOSEN | {"drift": {"drifted": False, "since_version": 4, "reasons": []}},
            "; published ease, best of 3 trials on 900 held-out users; NDCG@20: ease 0.123, popularity 0.041",
        ),
        (
            {"outcome": "kept", "reason": "the stored neighbours are better", "drift": None},
            "; kept the active model: the stored neighbours are better",
        ),
    ],
)
def test_the_outcome_names_the_model_beside_the_popular_products(answer: dict[str, Any], text: str) -> None:
    assert outcome(answer) == text
