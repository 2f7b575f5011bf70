"""How far made-up visitors push a product, and what the bounds cost a shop of browsers: small runs of the benchmark."""

import pytest

from benchmarks.poisoning import LOSS_MAX, NETWORKS, PUSH, attack, browser_shop, loss
from shared.clients import postgres
from shared.domain.counting import AGENT_GROUPS, MAX_PER_CLIENT
from shared.domain.events import EVENT_WEIGHTS
from tests.integration.shop import add_plain_products

ONE_ADDRESS = MAX_PER_CLIENT * AGENT_GROUPS


@pytest.mark.parametrize(
    ("addresses", "visitors", "agents", "reached"),
    [
        (["198.51.100.7"], 30, 1, MAX_PER_CLIENT),
        # more agents than groups, as often as groups can be told apart
        (["198.51.100.7"], 200, 200, ONE_ADDRESS),
        ([f"203.0.113.{number}" for number in range(200)], 400, 2, 2 * MAX_PER_CLIENT),
        ([f"10.{number}.0.1" for number in range(20)], 20 * (MAX_PER_CLIENT + 1), 1, 20 * MAX_PER_CLIENT),
        (["2001:db8:1:2::1", "2001:db8:1:2::9", "2001:db8:1:3::1"], 30, 1, 2 * MAX_PER_CLIENT),
    ],
    ids=["one agent", "one address", "one network", "20 networks", "IPv6"],
)
def test_made_up_visitors_reach_the_bound_and_no_more(
    env: object, addresses: list[str], visitors: int, agents: int, reached: int
) -> None:
    product, bystander = add_plain_products(2)
    pushed = attack(product, addresses, visitors=visitors, agents=agents)
    assert pushed.purchases == reached
    assert pushed.score == reached * sum(EVENT_WEIGHTS[kind] for kind in PUSH)
    # the same clients' visitors have their own bound with another product
    assert attack(bystander, addresses[:1], visitors=1, agents=1).purchases == 1


@pytest.mark.parametrize("networks", [NETWORKS, {"mobile": 1.0}], ids=["usual", "few networks"])
def test_a_shop_of_browsers_loses_little_by_the_bounds(env: object, networks: dict[str, float]) -> None:
    ids = add_plain_products(60)
    options = {"users": 60, "categories": 5, "events": 1500, "days": 30, "skew": 0.8}
    lost, purchases = loss(browser_shop(options, ids, networks), "browser")
    assert lost <= LOSS_MAX
    # the bounds left something out, or this measured nothing
    left_out = postgres.read("SELECT count(*) FROM events WHERE NOT counted")[0][0]
    assert left_out > 0
    assert purchases > 0.9
