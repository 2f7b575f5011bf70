"""What the pages learn of the shop and of this installation."""

import httpx
import pytest

from functions.web import page_settings
from shared.domain.identity import ACCOUNT_PREFIX
from shared.storage.people.sample_customers import MAX_EVENTS, MIN_EVENTS, SAMPLE_SIZE
from tests.integration.conftest import Environment, Serve, settings_of
from tests.integration.people import as_admin
from tests.integration.shop import StoredEvent, add_events, add_plain_products

PATH = "/web/config.json"


def add_history(user: str, events: int) -> None:
    products = add_plain_products(3)
    add_events(StoredEvent(user, products[number % 3]) for number in range(events))


@pytest.fixture
def web(env: Environment, serve: Serve) -> httpx.Client:
    return serve("web")


def test_the_shop_s_public_settings_are_there(web: httpx.Client, serve: Serve) -> None:
    assert web.get(PATH).json() | {"shop_as": []} == {
        "name": "",
        "currency": None,
        "currency_decimals": 2,
        "time_zone": "UTC",
        "language": None,
        "api": "",
        "trust_shop_ids": True,
        "shop_as": [],
    }
    change = {"name": "Tienda", "currency": "JPY", "time_zone": "Asia/Tokyo", "search_language": "spanish"}
    assert as_admin(serve("admin")).patch("/admin/shop", json=change).status_code == 200
    body = web.get(PATH).json()
    assert (body["name"], body["currency"], body["currency_decimals"]) == ("Tienda", "JPY", 0)
    assert (body["time_zone"], body["language"]) == ("Asia/Tokyo", "spanish")


def test_the_answer_is_revalidated(web: httpx.Client) -> None:
    first = web.get(PATH)
    assert "no-cache" in first.headers["cache-control"]
    assert web.get(PATH, headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_customers_with_a_short_history_are_offered(web: httpx.Client) -> None:
    add_history("too-new", MIN_EVENTS - 1)
    add_history("17850", MIN_EVENTS)
    add_history("13047", MAX_EVENTS)
    add_history("too-busy", MAX_EVENTS + 1)
    # ids that are credentials, or need one
    add_history("guest_" + "0" * 32, MIN_EVENTS)
    add_history(f"{ACCOUNT_PREFIX}ada", MIN_EVENTS)
    page_settings.forget_sample()
    assert web.get(PATH).json()["shop_as"] == [
        {"id": "17850", "events": MIN_EVENTS},
        {"id": "13047", "events": MAX_EVENTS},
    ]


def test_the_sample_is_small(web: httpx.Client) -> None:
    products = add_plain_products(1)
    add_events(
        StoredEvent(f"user-{user:02}", products[0]) for user in range(SAMPLE_SIZE + 1) for _ in range(MIN_EVENTS)
    )
    page_settings.forget_sample()
    assert len(web.get(PATH).json()["shop_as"]) == SAMPLE_SIZE


def test_no_customer_is_named_where_ids_of_the_shop_do_not_suffice(web: httpx.Client) -> None:
    add_history("17850", MIN_EVENTS)
    with settings_of({"TRUST_SHOP_IDS": "false"}):
        body = web.get(PATH).json()
        assert body["trust_shop_ids"] is False
        assert "shop_as" not in body
    assert [customer["id"] for customer in web.get(PATH).json()["shop_as"]] == ["17850"]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_no_customer_is_named_in_the_cloud(env: Environment, web: httpx.Client, environment: str) -> None:
    add_history("17850", MIN_EVENTS)
    with settings_of(env | {"ENVIRONMENT": environment, "TRUST_SHOP_IDS": "true"}):
        body = web.get(PATH).json()
        assert body["trust_shop_ids"] is True
        assert "shop_as" not in body
    assert [customer["id"] for customer in web.get(PATH).json()["shop_as"]] == ["17850"]
