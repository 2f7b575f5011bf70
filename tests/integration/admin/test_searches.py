"""What shoppers searched for: counted with the number of results, bounded by client, without users."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.catalog import searches
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_catalog


def listed(client: httpx.Client, **query: Any) -> dict[str, tuple[int, int | None]]:
    searches.flush()
    answer = client.get("/admin/searches", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["total"] == len(body["searches"])
    return {search["query"]: (search["searches"], search["results"]) for search in body["searches"]}


def test_searches_are_counted_with_their_results_once_per_client(client: httpx.Client, serve: Serve) -> None:
    add_catalog()
    products = serve("products")
    for agent in ("a", "b", "a"):
        for text in ("  Heart ", "heart", "qqqzzz"):
            products.get("/products", params={"search": text}, headers={"User-Agent": agent})
    # a further page and no text are no searches
    products.get("/products", params={"search": "lantern", "page": 2})
    first = products.get("/products", params={"search": "heart", "page_size": 1}, headers={"User-Agent": "a"})
    following = first.json()["next"]
    assert products.get("/products", params={"search": "lantern", "after": following}).status_code == 200
    products.get("/products", params={"category": "Garden"})
    products.get("/products", params={"search": " "})
    counted = listed(client)
    assert set(counted) == {"heart", "qqqzzz"}
    assert counted["heart"][0] == counted["qqqzzz"][0] <= 2
    assert counted["heart"][1] is not None
    assert counted["heart"][1] > 0
    assert counted["qqqzzz"][1] == 0
    assert set(listed(client, results=0)) == {"qqqzzz"}
    assert listed(client, results=12345) == {}
    assert [row[0] for row in postgres.read("SELECT count(*) FROM users")] == [0]


def test_what_looks_personal_is_not_counted(client: httpx.Client, serve: Serve) -> None:
    add_catalog()
    products = serve("products")
    for text in ("ada@example.com", "+44 20 7946 0958", "4111-1111-1111-1111", "lamp 12345678"):
        products.get("/products", params={"search": text})
    assert set(listed(client)) == {"lamp 12345678"}


def test_search_events_of_a_shop_with_its_own_search_are_counted_once(client: httpx.Client, serve: Serve) -> None:
    subscriber = serve("update_preferences")
    metadata: list[dict[str, Any] | None] = [
        {"query": "Teapot", "results": 3},
        {"query": "samovar", "results": 0},
        {"query": "unknown count"},
        {"query": 5},
        {"query": "odd", "results": "many"},
        {"query": "negative", "results": -1},
        None,
    ]
    events = [event(None, "search", metadata=one) for one in metadata]
    for _ in range(2):
        assert deliver(subscriber, "visitor", *events).status_code < 300
    expected = {
        "teapot": (1, 3),
        "samovar": (1, 0),
        "unknown count": (1, None),
        "odd": (1, None),
        "negative": (1, None),
    }
    assert listed(client) == expected
    assert set(listed(client, results=0)) == {"samovar"}


def test_a_client_counts_for_a_bounded_number_of_texts(env: object, client: httpx.Client) -> None:
    most = searches.MAX_QUERIES_PER_CLIENT
    for start in range(0, most + 50, 50):
        searches.record([(f"text {number}", 1, "hostile") for number in range(start, start + 50)])
    searches.record([("text 1", 1, "other"), ("shop", 2, None), ("shop", 4, None)])
    rows = postgres.read("SELECT query, searches, results FROM search_counts")
    counts = {row[0]: (row[1], row[2]) for row in rows}
    assert sum(query.startswith("text") for query in counts) == most
    assert counts["text 1"] == (2, 1)
    # the shop's own server counts each, and the last number of results holds
    assert counts["shop"] == (2, 4)
    # a search whose number of results is unknown leaves the known one, and none found is a number
    searches.record([("shop", None, None), ("text 1", 0, "third")])
    rows = postgres.read(
        "SELECT query, searches, results FROM search_counts WHERE query IN ('shop', 'text 1') ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("shop", 3, 4), ("text 1", 3, 0)]


def test_a_client_has_each_day_s_texts_anew(env: object) -> None:
    postgres.write(
        f"""INSERT INTO search_caps (day, client, query_key)
            SELECT current_date - 1, 'shopper', n FROM generate_series(1, {searches.MAX_QUERIES_PER_CLIENT}) AS n"""
    )
    searches.record([("lamp", 3, "shopper"), ("lamp", 3, "other")])
    searches.record([("lamp", 3, "shopper")])
    assert [tuple(row) for row in postgres.read("SELECT query, searches FROM search_counts")] == [("lamp", 2)]


def test_each_client_and_each_search_of_the_shop_counts_once_in_a_batch(env: object) -> None:
    searches.record([("lamp", 3, None), ("lamp", 3, "a"), ("lamp", 3, "b"), ("lamp", 3, "a"), ("mug", 1, "a")])
    rows = postgres.read("SELECT query, searches FROM search_counts ORDER BY 1")
    assert [tuple(row) for row in rows] == [("lamp", 3), ("mug", 1)]


def test_only_the_days_that_the_query_names_count(env: object, client: httpx.Client) -> None:
    postgres.write(
        """INSERT INTO search_counts (day, query, searches, results)
           VALUES (current_date - 1, 'a', 5, 0), (current_date, 'a', 1, 7), (current_date - 40, 'b', 9, 0)"""
    )
    assert listed(client) == {"a": (6, 7)}
    assert listed(client, days=1) == {"a": (1, 7)}
    assert listed(client, days=41) == {"b": (9, 0), "a": (6, 7)}
    # it has results since
    assert set(listed(client, results=0, days=41)) == {"b"}


@pytest.mark.parametrize("query", [{"results": -1}, {"days": 0}, {"days": 401}, {"result": 0}])
def test_a_wrong_parameter_is_refused(client: httpx.Client, query: dict[str, int]) -> None:
    assert client.get("/admin/searches", params=query).status_code == 422
