"""The line of a finished job names the model that it chose and what it beat, and warns of a poor choice."""

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
            "; published ease, best of 3 trials on 900 held-out users; NDCG@20: ease 0.123 against popularity 0.041",
        ),
        (
            CHOSEN | {"algorithm": "popularity", "ndcg@20": 0.0411},
            "; published popularity, best of 3 trials on 900 held-out users; "
            "NDCG@20: popularity 0.041 against ease 0.123",
        ),
        (
            {"outcome": "published", "algorithm": "cosine", "why": "safe default: 9 events", "ndcg@20": None},
            "; published cosine, safe default: 9 events\n    WARNING: cosine is a default; no models were compared",
        ),
        (
            CHOSEN | {"aborted": True, "candidates": []},
            "; published ease, best of 3 trials on 900 held-out users; NDCG@20: ease 0.123\n"
            "    WARNING: this machine was too slow to finish the choice; run ./aisle job similarity when it is idle",
        ),
        (
            {"outcome": "kept", "reason": "events of one product only"},
            "; kept the active model: events of one product only",
        ),
        (
            CHOSEN | {"drift": {"drifted": True, "since_version": 4, "reasons": ["sales fell", "all is new"]}},
            "; published ease, best of 3 trials on 900 held-out users; NDCG@20: ease 0.123 against popularity 0.041"
            "; drifted since version 4: sales fell, all is new",
        ),
        (
            CHOSEN | {"drift": {"drifted": False, "since_version": 4, "reasons": []}},
            "; published ease, best of 3 trials on 900 held-out users; NDCG@20: ease 0.123 against popularity 0.041",
        ),
        (
            {"outcome": "published", "algorithm": "ease", "why": "the parameters of version 2 stay: 9 events"},
            "; published ease, the parameters of version 2 stay: 9 events",
        ),
        (
            {"outcome": "kept", "reason": "the stored neighbours are better", "drift": None},
            "; kept the active model: the stored neighbours are better",
        ),
    ],
)
def test_the_outcome_names_the_model_and_its_rivals_and_warns(answer: dict[str, Any], text: str) -> None:
    assert outcome(answer) == text
