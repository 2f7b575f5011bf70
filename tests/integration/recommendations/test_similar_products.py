"""Content neighbours, from products to the answers of /similar-products."""

import httpx

from functions.admin import rules
from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.storage.recommending import content
from tests.integration.conftest import Serve
from tests.integration.deliveries import push
from tests.integration.recommendations.purchases import run_job
from tests.integration.shop import add_model, embed_products


def similar(client: httpx.Client, product_id: int, k: int = 3) -> list[tuple[int, float]]:
    answer = client.get("/similar-products", params={"product_id": product_id, "k": k})
    assert answer.status_code == 200, answer.text
    return [(product["id"], product["score"]) for product in answer.json()["similar_products"]]


def add(name: str, description: str = "") -> int:
    rows = postgres.write(
        "INSERT INTO products (name, description, price, quantity) VALUES (:name, :text, 1, 1) RETURNING id",
        name=name,
        text=description,
    )
    embed_products()
    return int(rows[0][0])


def test_a_product_added_a_moment_ago_has_neighbours(client: httpx.Client) -> None:
    lantern, chair = add("Red metal lantern"), add("Wooden garden chair")
    new = add("Blue metal lantern")
    neighbours = similar(client, new)
    assert neighbours[0][0] == lantern
    assert neighbours[0][1] > 0.4
    assert chair not in [product for product, _ in neighbours if _ > 0.3]


def test_a_changed_description_changes_the_neighbours(client: httpx.Client, serve: Serve) -> None:
    add("Red metal lantern")
    chair, thing = add("Wooden garden chair"), add("Red metal thing")
    postgres.write("UPDATE products SET name = 'Wooden garden bench' WHERE id = :id", id=thing)
    with transaction() as connection:
        assert content.refresh(connection, [thing]) == 1
    assert similar(client, thing)[0][0] == chair


def test_refresh_catalog_refreshes_embeddings(env: object, serve: Serve) -> None:
    (thing,) = (add("Red metal thing"),)
    postgres.write("UPDATE products SET is_active = false WHERE id = :id", id=thing)
    answer = push(serve("refresh_catalog"), b'{"product_ids": [%d]}' % thing, {"schema": "catalog-changes/1"})
    assert answer.status_code == 200
    assert postgres.read("SELECT 1 FROM product_content") == []


def test_behaviour_outweighs_descriptions_the_more_evidence_there_is(client: httpx.Client) -> None:
    # products 1 and 3 have similar descriptions, products 1 and 2 the same buyers; two co-occurrences are weak evidence
    add_model({1: {2: 0.9}})
    postgres.write("UPDATE item_similarity SET co_occurrence = '{2}'")
    with_2_users = dict(similar(client, 1, k=12))
    postgres.write("UPDATE item_similarity SET co_occurrence = '{500}'")
    rules.drop_answers()
    with_500_users = dict(similar(client, 1, k=12))
    assert with_2_users[2] == with_500_users[2] == 0.9
    assert with_2_users[3] > 10 * with_500_users[3] > 0
    assert 1 not in with_500_users


def test_the_job_recounts_the_words_of_all_products(client: httpx.Client, serve: Serve) -> None:
    add("Zinc bucket")
    postgres.write("UPDATE content_words SET products = 1")
    assert run_job(serve)["embeddings_changed"] > 0
    counted = dict(tuple(row) for row in postgres.read("SELECT word, products FROM content_words"))
    assert (counted["product"], counted["zinc"]) == (12, 1)
    assert run_job(serve)["embeddings_changed"] == 0
