"""Which demands are planned for."""

from typing import Any

import pytest

from delivery.demand import CACHED, MIX, PROFILES, UNCACHED, Demand, InvalidDemand


def test_every_kind_of_request_has_its_operations() -> None:
    assert {*CACHED, *UNCACHED} == set(MIX)
    assert not set(CACHED) & set(UNCACHED)


def test_a_fifth_of_the_requests_have_an_event_unless_the_shop_says_otherwise() -> None:
    assert Demand(50).events == pytest.approx(10)
    assert Demand(50, events_per_s=0).events == 0
    assert Demand(50, events_per_s=50).events == 50


def test_the_profiles_are_of_growing_shops() -> None:
    assert [demand.requests_per_s for demand in PROFILES] == [100, 1000, 10_000]
    assert [demand.products for demand in PROFILES] == sorted(demand.products for demand in PROFILES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"requests_per_s": 0}, "--requests-per-s must be from 0.01 to 1,000,000, not 0."),
        ({"requests_per_s": 1e6 + 1}, "--requests-per-s must be"),
        ({"products": 0}, "--products must be from 1 to 10,000,000, not 0."),
        ({"products": 10_000_001}, "to 10,000,000, not 10,000,001."),
        ({"users": 0}, "--users must be from 1 to 1,000,000,000, not 0."),
        ({"users": 1_000_000_001}, "not 1,000,000,001."),
        (
            {"requests_per_s": 100, "events_per_s": 100.0001},
            "--requests-per-s (100), which includes events, not 100.0001.",
        ),
        ({"cached_share": 1.01}, "--cached-share must be from 0 to 1, not 1.01."),
        ({"cached_share": -0.01}, "--cached-share must be"),
        ({"peak_ratio": 0.99}, "--peak-ratio must be from 1 to 1,000"),
        ({"requests_per_s": 10, "events_per_s": 10.5}, "--events-per-s must be from 0 to --requests-per-s (10)"),
        ({"events_per_s": -1}, "--events-per-s must be from 0"),
    ],
)
def test_a_demand_that_cannot_be_is_refused_by_its_option(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDemand) as refused:
        Demand(**{"requests_per_s": 100, **values})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
