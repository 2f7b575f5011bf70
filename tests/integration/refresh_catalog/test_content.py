"""New products get content neighbours without anybody's doing: from an import, over its messages and the job."""

import httpx
import orjson
import pytest

from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.storage.recommending import content
from tests.integration.conftest import Messages, Serve
from tests.integration.deliveries import push
from tests.integration.people import as_admin
from tests.integration.shop import add_products

SCHEMA = {"schema": "catalog-changes/1"}


def import_rows(serve: Serve, *names: str) -> dict[str, int]:
    body = b"\n".join(orjson.dumps({"external_id": f"N{n}", "name": name, "price": 1}) for n, name in enumerate(names))
    answer = as_admin(serve("products")).post(
        "/products/import", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.json()["created"] == len(names), answer.text
    return {row[1]: row[0] for row in postgres.read("SELECT id, external_id FROM products")}


def embedded() -> set[int]:
    return {int(row[0]) for row in postgres.read("SELECT product_id FROM product_content")}


def similar(serve: Serve, product_id: int) -> list[int]:
    answer = serve("recommendations").get("/similar-products", params={"product_id": product_id, "k": 3})
    return [product["id"] for product in answer.json()["similar_products"]]


def run(serve: Serve) -> dict[str, int]:
    answer: httpx.Response = serve("refresh_content").post("/")
    assert answer.status_code == 200, answer.text
    body: dict[str, int] = answer.json()
    return body


def test_an_imported_product_has_neighbours_once_its_message_is_delivered(
    env: object, serve: Serve, messages: Messages
) -> None:
    add_products(10)
    take = messages("catalog-changes")
    ids = import_rows(serve, "Red metal lantern", "Blue metal lantern", "Garden chair")
    # the import itself computes nothing, and the words are found at once
    assert not embedded() & {ids["N0"], ids["N1"], ids["N2"]}
    assert postgres.read("SELECT products FROM search_words WHERE word = 'lantern'")[0][0] == 2
    for message in take(1):
        assert push(serve("refresh_catalog"), message.data, SCHEMA).status_code == 200
    assert {ids["N0"], ids["N1"], ids["N2"]} <= embedded()
    assert similar(serve, ids["N0"])[0] == ids["N1"]
    assert content.pending() == 0


def test_a_large_import_has_neighbours_after_the_job(
    env: object, serve: Serve, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "BATCH", 2)
    add_products(20)
    run(serve)
    take = messages("catalog-changes")
    ids = import_rows(serve, "Red metal lantern", "Blue metal lantern", "Garden chair")
    for message in take(1):
        push(serve("refresh_catalog"), message.data, SCHEMA)
    assert ids["N0"] not in embedded()
    done = run(serve)
    assert (done["computed"], done["pending"]) == (3, 0)
    assert similar(serve, ids["N0"])[0] == ids["N1"]
    # nothing is left to do
    again = run(serve)
    assert (again["computed"], again["recounted"], again["pending"]) == (0, 0, 0)


def test_words_are_counted_anew_where_the_catalog_has_grown_by_a_quarter(env: object, serve: Serve) -> None:
    add_products(8)
    run(serve)
    assert not content.is_outdated()
    postgres.write("INSERT INTO products (name, price) SELECT 'Zinc bucket', 1 FROM generate_series(1, 2)")
    assert not content.is_outdated()
    assert run(serve)["computed"] == 2
    counted = {row[0]: row[1] for row in postgres.read("SELECT word, products FROM content_words")}
    assert (counted["product"], counted["zinc"]) == (8, 1)
    postgres.write("INSERT INTO products (name, price) VALUES ('Zinc bucket', 1)")
    assert content.is_outdated()
    assert run(serve)["recounted"] > 0
    counted = {row[0]: row[1] for row in postgres.read("SELECT word, products FROM content_words")}
    assert (counted["product"], counted["zinc"]) == (8, 3)


def test_a_writer_beside_an_import_does_not_wait_for_the_vocabulary(env: object, serve: Serve) -> None:
    add_products(3)
    with transaction() as importing:
        postgres.execute(importing, "INSERT INTO products (name, price) VALUES ('Brass lantern', 1)")
        # the other import holds the vocabulary until it commits
        ids = import_rows(serve, "Copper kettle")
        assert as_admin(serve("products")).patch("/products/1", json={"price": 5}).status_code == 200
    assert postgres.read("SELECT 1 FROM search_words WHERE word = 'kettle'") == []
    run(serve)
    words = {row[0] for row in postgres.read("SELECT word FROM search_words")}
    assert {"kettle", "copper", "brass"} <= words
    assert ids["N0"] in embedded()


def test_hidden_products_have_no_embedding(env: object, serve: Serve) -> None:
    postgres.write("INSERT INTO products (name, price, is_active) VALUES ('Shown', 1, true), ('Hidden', 1, false)")
    run(serve)
    assert content.pending() == 0
    names = [row[0] for row in postgres.read("SELECT name FROM product_content JOIN products ON id = product_id")]
    assert names == ["Shown"]
