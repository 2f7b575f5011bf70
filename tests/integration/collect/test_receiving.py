"""What any client may send to the function: no value breaks it, and a revoked key ends in whatever place it is sent."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from shared import api_keys
from shared.http import revocations
from shared.http.bodies import MAX_DEPTH
from tests.integration.collect.conftest import Store, make_key, stored
from tests.integration.conftest import Serve, settings_of
from tests.integration.people import ADMIN

RETAIL = "/v2/projects/p/locations/global/catalogs/default_catalog/userEvents"
# numbers that no column holds, half a character, and digits that Python refuses to read
VALUES = [
    10**30,
    2**63,
    2**64,
    10**400,
    1e308,
    "\ud800",
    "\ud800" * 130,
    "9" * 5000,
    float("nan"),
    [[[1]]],
    {"a": 10**30},
]


def send(shop: httpx.Client, path: str, body: Any) -> int:
    # httpx refuses to write some of these values
    answer = shop.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    return answer.status_code


@pytest.mark.parametrize("value", VALUES, ids=[str(number) for number in range(len(VALUES))])
def test_no_value_breaks_the_function(shop: httpx.Client, publishable: str, store: Store, value: Any) -> None:
    good: dict[str, Any] = {"product_id": "SKU1", "quantity": 1, "price": 1.5}
    statuses = []
    for name in good:
        for event in ("Product Added", "Order Completed", "Order Refunded"):
            properties = {"order_id": "A-1", "products": [good | {name: value}, {"product_id": "SKU2"}]}
            call = {
                "writeKey": publishable,
                "userId": "eve",
                "event": event,
                "messageId": value,
                "properties": properties,
            }
            statuses += [send(shop, "/v1/track", call), send(shop, "/v1/track", call | {"messageId": "m"})]
    for name in ("item_id", "quantity", "price"):
        for event in ("purchase", "refund", "view_item"):
            parameters = {"transaction_id": "A-1", "items": [{"item_id": "SKU1"} | {name: value}], "other": value}
            body = {"client_id": "eve", "timestamp_micros": 1, "events": [{"name": event, "params": parameters}]}
            statuses.append(send(shop, f"/mp/collect?api_secret={publishable}", body))
    retail = {"eventType": "home-page-view", "visitorId": "eve", "eventTime": "2026-01-02T03:04:05Z", "other": value}
    statuses.append(send(shop, f"{RETAIL}:write?key={publishable}", retail))
    for event in ("refund", "purchase", "foo"):
        statuses.append(
            send(
                shop, "/track", {"user_id": "eve", "event": event, "order_id": "A-1", "sku": "SKU1", "quantity": value}
            )
        )
    line = {"product_id": 1, "quantity": value}
    statuses.append(
        send(shop, "/events", {"user_id": "eve", "event_type": "refund", "order_id": "A-1", "lines": [line]})
    )
    assert [status for status in statuses if status >= 500] == []
    # the next event is taken as ever
    assert send(shop, "/track", {"user_id": "ann", "event": "view", "sku": "SKU3"}) == 200
    store(1)
    assert stored("ann") == [("view", "SKU3", 1)]


def test_a_pixels_event_is_bounded_as_a_body_is(shop: httpx.Client, publishable: str) -> None:
    def status(levels: int) -> int:
        event = '{"eventType":"home-page-view","visitorId":"v","eventTime":"2026-01-02T03:04:05Z","a":'
        event += '{"a":' * levels + "1" + "}" * levels + "}"
        return shop.get(f"{RETAIL}:collect?key={publishable}&userEvent={quote(event, safe='')}").status_code

    # the event is a level itself
    assert (status(MAX_DEPTH - 1), status(MAX_DEPTH), status(200)) == (200, 422, 422)


def test_a_write_key_in_the_body_ends_when_it_is_revoked(shop: httpx.Client) -> None:
    kept = make_key(shop, "publishable")
    made = shop.post("/admin/api-keys", json={"kind": "publishable", "name": "old"}, headers=ADMIN).json()
    assert shop.delete(f"/admin/api-keys/{made['id']}", headers=ADMIN).status_code == 204
    # an instance that has seen no key in a header yet
    revocations.close()

    def status(key: str) -> int:
        return send(shop, "/v1/track", {"writeKey": key, "userId": "ann", "event": "Foo"})

    assert (status(made["key"]), status(kept), status(made["key"])) == (401, 200, 401)


@pytest.mark.usefixtures("one_window")
def test_a_batch_of_many_users_costs_as_many_messages(env: dict[str, str], serve: Serve) -> None:
    with settings_of(env | {"TRUSTED_PROXIES": "1", "RATE_LIMIT_PER_MINUTE": "41"}):
        collect = serve("collect")
        key = api_keys.create("publishable")[1]

        def batch(users: int, client: str) -> int:
            calls = [{"type": "track", "event": "Foo", "userId": f"u{number % users}"} for number in range(40)]
            headers = {"X-API-Key": key, "X-Forwarded-For": client}
            return collect.post("/v1/batch", json={"batch": calls}, headers=headers).status_code

        # 41 were free: the first counts as 40, the second as what was left
        assert [batch(40, "198.51.100.40") for _ in range(2)] == [200, 200]
        assert batch(1, "198.51.100.40") == 429
        # of one user, and by number alone, a batch counts as five
        assert [batch(1, "198.51.100.41") for _ in range(8)] == [200] * 8
