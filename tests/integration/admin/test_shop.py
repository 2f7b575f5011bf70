"""The shop's own settings: read, changed, audited, and followed by days and by other instances."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.operations import shop
from tests.integration.admin.conftest import audited, epochs
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products

UNSET = {
    "name": "",
    "currency": None,
    "time_zone": "UTC",
    "search_language": None,
    "unknown_products": "reject",
}


def stored(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return {name: body[name] for name in shop.FIELDS}


def test_a_new_shop_has_no_currency_and_no_language(client: httpx.Client) -> None:
    answer = client.get("/admin/shop")
    assert stored(answer) == UNSET
    assert answer.json()["currency_decimals"] == 2
    assert {"simple", "english", "german", "russian"} <= set(answer.json()["search_languages"])
    assert not [name for name in answer.json()["search_languages"] if name.startswith("aisle")]


def test_a_change_keeps_the_other_fields_and_is_audited_once(client: httpx.Client) -> None:
    assert shop.current().currency is None
    first = client.patch("/admin/shop", json={"name": " Tienda ", "currency": "JPY"})
    # this process need not wait until its copy is old
    assert shop.current().currency == "JPY"
    assert stored(first) == UNSET | {"name": "Tienda", "currency": "JPY"}
    assert first.json()["currency_decimals"] == 0
    before = epochs()
    second = client.patch("/admin/shop", json={"currency": "KWD", "time_zone": "Asia/Kuwait"})
    assert stored(second) == UNSET | {"name": "Tienda", "currency": "KWD", "time_zone": "Asia/Kuwait"}
    assert second.json()["currency_decimals"] == 3
    assert epochs() != before
    # what changes nothing leaves no trace
    assert client.patch("/admin/shop", json={"currency": "KWD"}).json() == second.json()
    assert client.patch("/admin/shop", json={}).json() == second.json()
    assert stored(client.patch("/admin/shop", json={"currency": None})) == stored(second) | {"currency": None}
    assert [(entry[1], entry[2], entry[3]["currency"], entry[4]["currency"]) for entry in audited()] == [
        ("shop.change", "shop", None, "JPY"),
        ("shop.change", "shop", "JPY", "KWD"),
        ("shop.change", "shop", "KWD", None),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"currency": "eur"},
        {"currency": "ABC"},
        {"currency": "EURO"},
        {"time_zone": "Europe/Nowhere"},
        {"time_zone": None},
        {"time_zone": ""},
        {"search_language": "klingon"},
        {"search_language": "English"},
        {"unknown_products": "drop"},
        {"unknown_products": None},
        {"name": "x" * 201},
        {"nombre": "x"},
        {"name": "good", "currency": "bad"},
    ],
)
def test_a_wrong_value_names_its_field_and_changes_nothing(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.patch("/admin/shop", json=body)
    assert answer.status_code == 422
    assert list(body)[-1] in {error["field"] for error in answer.json()["errors"]}
    assert stored(client.get("/admin/shop")) == UNSET
    assert audited() == []


def test_reading_the_settings_costs_requests_no_statement_and_follows_a_change(
    env: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.current().currency is None
    with postgres.transaction() as connection:
        postgres.execute(connection, "UPDATE shop SET currency = 'EUR'")
    reads = []
    monkeypatch.setattr(shop, "read", lambda sql: reads.append(sql) or postgres.read(sql))
    assert [shop.current().currency for _ in range(5)] == [None] * 5
    assert reads == []
    monkeypatch.setattr(shop, "MAX_AGE_S", 0)
    # the request that finds the copy too old still has the old row; the next one after the reading has the new one
    assert shop.current().currency is None
    copy = shop._copy
    with copy.is_reading:
        assert copy.settings is not None
        assert copy.settings.currency == "EUR"
    assert len(reads) == 1


def test_a_day_begins_at_midnight_of_the_shop(client: httpx.Client, serve: Serve) -> None:
    # 14 hours ahead of UTC: its day begins at 10:00 UTC
    client.patch("/admin/shop", json={"time_zone": "Pacific/Kiritimati"})
    (product,) = add_plain_products(1)
    now = datetime.now(UTC)
    boundary = now.replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=2)
    for minutes in (-1, 0, 1):
        at = boundary + timedelta(minutes=minutes)
        add_events([StoredEvent("a", product, "view", (now - at) / timedelta(hours=1))])
    day_after = (boundary + timedelta(hours=14)).date()
    expected = {(day_after - timedelta(days=1)).isoformat(): 1, day_after.isoformat(): 2}

    def counts() -> dict[str, int]:
        days = client.get("/admin/dashboard").json()["events_by_day"]
        return {day["date"]: day["event_count"] for day in days}

    assert counts() == expected
    assert serve("daily_stats").post("/", json={"days": 5}).json()["events"] == 3
    client.post("/admin/cache/flush")
    assert counts() == expected
