"""The line of the active model in `./aisle status`."""

from typing import Any

import pytest

from local.status import describe_model


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        ({"why": "best of 3 trials"}, "Model version 2: ease, best of 3 trials"),
        (
            {"why": "the parameters of version 1 stay: the choice is worse", "drift": {"drifted": False}},
            "Model version 2: ease, the parameters of version 1 stay: the choice is worse",
        ),
        (
            {"why": "best of 3 trials", "drift": {"drifted": True, "since_version": 1, "reasons": ["all is new"]}},
            "Model version 2: ease, best of 3 trials; drifted since version 1: all is new",
        ),
        # of an early release
        ({}, "Model version 2: ease"),
    ],
)
def test_the_active_model_says_how_it_was_chosen_and_whether_the_shop_drifted(
    metrics: dict[str, Any], line: str
) -> None:
    assert describe_model(2, "ease", metrics) == line
