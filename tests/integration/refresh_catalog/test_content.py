"""New products get content neighbours by their messages, however many there are; nothing runs while nothing changes."""

import logging

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


def deliver_outbox(serve: Serve) -> int:
    """Deliver the messages that wait in the outbox, as publish_outbox and Pub/Sub do; return how many."""
    rows = postgres.read("SELECT id, data, attributes FROM outbox WHERE published_at IS NULL ORDER BY id")
    for _id, data, attributes in rows:
        assert push(serve("refresh_catalog"), bytes(data), attributes).status_code == 200
    postgres.write("UPDATE outbox SET published_at = now() WHERE published_at IS NULL")
    return len(rows)


def deliver(serve: Serve, change: str, *product_ids: int) -> None:
    body = orjson.dumps({"product_ids": product_ids, "change": change})
    assert push(serve("refresh_catalog"), body, SCHEMA).status_code == 200


def run(serve: Serve, **parameters: float) -> dict[str, int]:
    """Run the job of the night."""
    answer: httpx.Response = serve("bought_together").post("/", json=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, int] = answer.json()
    return body


def counted() -> dict[str, int]:
    return {row[0]: row[1] for row in postgres.read("SELECT word, products FROM content_words")}


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


def test_a_large_import_has_neighbours_by_its_messages_alone(
    env: object, serve: Serve, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "BATCH", 2)
    add_products(20)
    run(serve)
    take = messages("catalog-changes")
    ids = import_rows(serve, "Red metal lantern", "Blue metal lantern", "Garden chair", "Zinc bucket", "Zinc tub")
    for message in take(1):
        assert push(serve("refresh_catalog"), message.data, SCHEMA).status_code == 200
    assert set(ids.values()) <= embedded()
    assert similar(serve, ids["N0"])[0] == ids["N1"]
    assert content.pending() == 0
    # the catalog has not doubled: nothing else is to do
    assert deliver_outbox(serve) == 0


def test_words_are_counted_anew_by_messages_once_the_catalog_has_doubled(env: object, serve: Serve) -> None:
    add_products(8)
    run(serve)
    add = "INSERT INTO products (name, price) SELECT 'Zinc product', 1 FROM generate_series(1, :n) RETURNING id"
    first = [row[0] for row in postgres.write(add, n=8)]
    deliver(serve, "created", *first)
    assert deliver_outbox(serve) == 0
    # until they are counted, the words of new products count as met once
    assert (counted()["product"], counted()["zinc"]) == (8, 1)
    before = postgres.read("SELECT embedding::text FROM product_content WHERE product_id = :id", id=first[0])
    (last,) = [row[0] for row in postgres.write(add, n=1)]
    (other,) = [row[0] for row in postgres.write(add, n=1)]
    # while a product of the import waits for its own message, nothing is counted
    deliver(serve, "created", last)
    assert deliver_outbox(serve) == 0
    deliver(serve, "created", other)
    assert (counted()["product"], counted()["zinc"]) == (18, 10)
    assert postgres.read("SELECT embedding::text FROM product_content WHERE product_id = :id", id=first[0]) == before
    assert deliver_outbox(serve) == 1
    assert postgres.read("SELECT embedding::text FROM product_content WHERE product_id = :id", id=first[0]) != before
    # the message computes embeddings, and starts nothing
    assert deliver_outbox(serve) == 0


def test_words_are_counted_anew_once_less_than_half_of_the_catalog_is_left(env: object, serve: Serve) -> None:
    add_products(9)
    run(serve)

    def hide(*ids: int) -> None:
        postgres.write("UPDATE products SET is_active = false WHERE id = ANY (:ids)", ids=list(ids))
        deliver(serve, "deleted", *ids)

    hide(1, 2, 3, 4)
    assert deliver_outbox(serve) == 0
    assert counted()["product"] == 9
    # what waits and is hidden needs no embedding, and holds nothing up
    postgres.write("INSERT INTO content_pending (product_id, needs_words) VALUES (1, false) ON CONFLICT DO NOTHING")
    hide(5)
    assert counted()["product"] == 4
    assert deliver_outbox(serve) == 1


def test_the_job_of_the_night_follows_products_that_were_added_without_a_message(env: object, serve: Serve) -> None:
    add_products(8)
    run(serve)
    postgres.write("INSERT INTO products (name, price, item_group_id) VALUES ('Zinc bucket', 1, 'zinc')")
    postgres.write("UPDATE content_pending SET needs_words = true")
    assert content.pending() == 1
    run(serve)
    assert content.pending() == 0
    assert counted()["zinc"] == 1
    assert postgres.read("SELECT item_group_id FROM catalog_groups") == [("zinc",)]
    assert postgres.read("SELECT FROM catalog_changed_groups") == []


def test_after_a_first_import_above_the_bound_the_job_counts_the_words(
    env: object, serve: Serve, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "COUNTED_AT_ONCE", 4)
    take = messages("catalog-changes")
    import_rows(serve, "Red metal lantern", "Blue metal lantern", "Blue metal chair", "Red metal chair", "Zinc chair")
    for message in take(1):
        assert push(serve("refresh_catalog"), message.data, SCHEMA).status_code == 200
    assert deliver_outbox(serve) == 0
    assert set(counted().values()) == {1}
    # docs/import.md has it run again while embeddings are left
    assert run(serve, minutes=0)["embeddings_left"] == 5
    result = run(serve)
    assert (result["words_counted"], result["embeddings_left"]) == (True, 0)
    assert (counted()["metal"], counted()["zinc"]) == (4, 1)


def test_the_job_of_the_night_ends_in_time_and_says_what_is_left(
    env: object, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def warned() -> list[int]:
        records = [record for record in caplog.records if record.message == "embeddings left to the next run"]
        return [vars(record)["left"] for record in records]

    caplog.set_level(logging.WARNING)
    add_products(8)
    run(serve)
    postgres.write("INSERT INTO products (name, price) VALUES ('Zinc bucket', 1)")
    postgres.write("UPDATE products SET name = 'Zinc tub' WHERE id = 2")
    before = postgres.read("SELECT product_id, embedding::text FROM product_content ORDER BY 1")
    # all, once the words are counted: the new one and the changed one are among them
    result = run(serve, minutes=0)
    assert (result["embeddings_changed"], result["embeddings_left"], result["words_counted"]) == (0, 9, False)
    assert warned() == [9]
    assert postgres.read("SELECT product_id, embedding::text FROM product_content ORDER BY 1") == before
    result = run(serve)
    assert (result["embeddings_left"], result["words_counted"]) == (0, True)
    assert warned() == [9]
    assert counted()["zinc"] == 2


def test_a_writer_beside_an_import_does_not_wait_for_the_vocabulary(env: object, serve: Serve) -> None:
    add_products(3)
    with transaction() as importing:
        postgres.execute(importing, "INSERT INTO products (name, price) VALUES ('Brass lantern', 1)")
        # the other import holds the vocabulary until it commits
        ids = import_rows(serve, "Copper kettle")
        assert as_admin(serve("products")).patch("/products/1", json={"price": 5}).status_code == 200
    assert postgres.read("SELECT 1 FROM search_words WHERE word = 'kettle'") == []
    deliver(serve, "created", ids["N0"])
    assert content.pending() == 1
    words = {row[0] for row in postgres.read("SELECT word FROM search_words")}
    assert {"kettle", "copper", "brass"} <= words
    assert ids["N0"] in embedded()


def test_hidden_products_have_no_embedding(env: object, serve: Serve) -> None:
    postgres.write("INSERT INTO products (name, price, is_active) VALUES ('Shown', 1, true), ('Hidden', 1, false)")
    run(serve)
    assert content.pending() == 0
    names = [row[0] for row in postgres.read("SELECT name FROM product_content JOIN products ON id = product_id")]
    assert names == ["Shown"]
