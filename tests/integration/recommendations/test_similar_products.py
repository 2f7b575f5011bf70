"""Content neighbours, from products to the answers of /similar-products."""

import math

import httpx
import pytest

from functions.admin import rules
from functions.admin.schemas.rules import RuleWrite
from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.domain.content import EVIDENCE_PRIOR, specificities
from shared.storage.recommending import content, content_renewal
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


def test_descriptions_count_less_the_more_evidence_there_is_but_never_less_than_half(client: httpx.Client) -> None:
    # products 1 and 3 have similar descriptions, products 1 and 2 the same buyers; two co-occurrences are weak evidence
    add_model({1: {2: 0.9}})
    postgres.write("UPDATE item_similarity SET co_occurrence = '{2}'")
    with_2_users = dict(similar(client, 1, k=12))
    postgres.write("UPDATE item_similarity SET co_occurrence = '{500}'")
    rules.drop_answers()
    with_500_users = dict(similar(client, 1, k=12))
    alike = dict(content_of(client, 1))
    for found, share in ((with_2_users, 5 / 7), (with_500_users, 0.5)):
        assert found[2] == pytest.approx((1 - share) * 0.9 + share * alike.get(2, 0), abs=1e-6)
        assert found[3] == pytest.approx(share * alike[3], abs=1e-6)
    assert 1 not in with_500_users


def content_of(client: httpx.Client, product_id: int) -> list[tuple[int, float]]:
    answer = client.get("/similar-products", params={"product_id": product_id, "k": 12, "kind": "content"}).json()
    return [(product["id"], product["score"]) for product in answer["similar_products"]]


def test_similar_to_a_staple_is_what_is_of_its_kind(client: httpx.Client) -> None:
    # everybody buys milk, and charcoal once a year: behaviour alone says charcoal, as specific as anything
    postgres.write("INSERT INTO categories (name) VALUES ('Milk'), ('Barbecue')")
    milk = add_of_kind("Whole milk 1 l", "Milk", None)
    other = add_of_kind("Whole milk 2 l", "Milk", None)
    charcoal = add_of_kind("Charcoal from beech", "Barbecue", None)
    embed_products()
    add_model({milk: {charcoal: 0.9}, charcoal: {milk: 0.9}})
    postgres.write("UPDATE item_similarity SET co_occurrence = '{400}'")
    scores = dict(similar(client, milk, k=12))
    assert list(scores)[:2] == [other, charcoal]
    assert scores[charcoal] == pytest.approx(0.45, abs=1e-6)
    # descriptions say nothing of charcoal, and behaviour decides
    assert next(iter(similar(client, charcoal, k=12))) == (milk, pytest.approx(0.45, abs=1e-6))


def test_a_neighbour_that_is_alike_too_counts_for_both_even_where_it_is_not_among_the_most_alike(
    client: httpx.Client,
) -> None:
    first, second = add("Red metal lantern"), add("Blue metal lantern")
    add_model({first: {second: 0.6, 2: 0.6}})
    postgres.write("UPDATE item_similarity SET co_occurrence = '{400,400}'")
    alike = dict(content_of(client, first))[second]
    scores = dict(similar(client, first, k=12))
    assert scores[second] == pytest.approx(0.3 + alike / 2, abs=1e-6)
    assert scores[2] == pytest.approx(0.3, abs=1e-6)


def test_descriptions_of_another_category_count_less(client: httpx.Client) -> None:
    postgres.write("INSERT INTO categories (name) VALUES ('Here'), ('There')")
    target, same, other, loose = (
        add_of_kind("Red metal lantern", category, None) for category in ("Here", "Here", "There", None)
    )
    nowhere = add_of_kind("Red metal lantern", None, None)
    # equal descriptions, whatever the names of the categories
    embed_products()
    postgres.write(
        """UPDATE product_content SET embedding = (SELECT embedding FROM product_content WHERE product_id = :id)
           WHERE product_id >= :id""",
        id=target,
    )
    scores = dict(content_of(client, target))
    assert scores[same] == scores[loose] == scores[nowhere] == pytest.approx(1, abs=1e-6)
    assert scores[other] == pytest.approx(0.6, abs=1e-6)
    # a product without a category is as near to all
    assert dict(content_of(client, loose))[other] == pytest.approx(1, abs=1e-6)


def test_the_job_recounts_the_words_of_all_products(client: httpx.Client, serve: Serve) -> None:
    add("Zinc bucket")
    postgres.write("UPDATE content_words SET products = 1")
    assert run_job(serve)["embeddings_changed"] > 0
    counted = dict(tuple(row) for row in postgres.read("SELECT word, products FROM content_words"))
    assert (counted["product"], counted["zinc"]) == (12, 1)
    assert run_job(serve)["embeddings_changed"] == 0


def test_what_everybody_buys_is_not_similar_to_everything(client: httpx.Client) -> None:
    # product 2 is in every basket, products 4 and 5 in those with product 1; descriptions say nothing
    postgres.write("DELETE FROM product_content")
    add_model({1: {2: 0.9, 4: 0.6, 5: 0.5}, 6: {2: 0.9, 4: 0.6}})
    postgres.write("UPDATE item_similarity SET co_occurrence = '{40,30,1}' WHERE product_id = 1")
    postgres.write("UPDATE item_similarity SET co_occurrence = '{0,0}' WHERE product_id = 6")
    postgres.write(
        """INSERT INTO product_stats (product_id, views, purchase_count) VALUES (2, 3000, 960), (4, 40, 10)
           ON CONFLICT (product_id) DO UPDATE SET views = EXCLUDED.views, purchase_count = EXCLUDED.purchase_count"""
    )
    shares = specificities([40, 30, 1], [3960, 50, 0])
    # behaviour is half of the score
    expected = {
        product: score * share / 2 for product, score, share in zip((2, 4, 5), (0.9, 0.6, 0.5), shares, strict=True)
    }
    found = dict(similar(client, 1, k=12))
    assert [product for product in found if product in expected] == [4, 5, 2]
    assert {product: found[product] for product in expected} == pytest.approx(expected, abs=1e-6)
    # without common users there is nothing to compare with, and the model's own neighbours keep the model's order; they
    # count as if one user had both
    share = EVIDENCE_PRIOR / (EVIDENCE_PRIOR + 1)
    unknown = {product: score for product, score in similar(client, 6, k=12) if product in (2, 4)}
    assert unknown == pytest.approx({2: (1 - share) * 0.9, 4: (1 - share) * 0.6}, abs=1e-6)
    answer = client.get("/similar-products", params={"product_id": 1, "k": 3, "kind": "collaborative"}).json()
    assert [product["id"] for product in answer["similar_products"]] == [2, 4, 5]


def test_sold_out_products_come_last(client: httpx.Client) -> None:
    # descriptions say nothing
    postgres.write("DELETE FROM product_content")
    add_model({1: {2: 0.9, 4: 0.6, 5: 0.5}})
    before = [product for product, _ in similar(client, 1, k=12)]
    assert before[0] == 2
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 2")
    rules.drop_answers()
    after = [product for product, _ in similar(client, 1, k=12)]
    assert after == [product for product in before if product != 2] + [2]
    # one piece is enough, and what is left out is left out of the end of the list
    postgres.write("UPDATE products SET quantity = 1 WHERE id = 2")
    rules.drop_answers()
    assert [product for product, _ in similar(client, 1, k=12)] == before
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 2")
    rules.drop_answers()
    assert [product for product, _ in similar(client, 1, k=2)] == [4, 5]


def test_excluded_products_take_no_place_of_those_that_trend(client: httpx.Client) -> None:
    # nothing but the trend of the category suggests anything; 9 and 11 are variants, of which 9 trends more
    postgres.write("DELETE FROM product_content")
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT '30d', id, 100 - id, 5, category_id FROM products"""
    )
    postgres.write("UPDATE products SET item_group_id = 'lantern' WHERE id IN (9, 11)")
    assert [product for product, _ in similar(client, 1, k=2)] == [3, 5]
    for product in (3, 5):
        rules.create_rule("test", RuleWrite(kind="exclude", product_id=product))
    assert [product for product, _ in similar(client, 1, k=2)] == [7, 9]
    rules.create_rule("test", RuleWrite(kind="exclude", product_id=9))
    assert [product for product, _ in similar(client, 1, k=2)] == [7, 11]
    # products of the other category are as they were
    assert [product for product, _ in similar(client, 2, k=2)] == [4, 6]


def add_of_kind(name: str, category: str | None, brand: str | None) -> int:
    rows = postgres.write(
        """INSERT INTO products (name, brand, price, quantity, category_id)
           VALUES (:name, :brand, 1, 1, (SELECT id FROM categories WHERE name = :category)) RETURNING id""",
        name=name,
        category=category,
        brand=brand,
    )
    return int(rows[0][0])


def test_products_of_a_kind_are_more_alike_than_products_of_a_brand(client: httpx.Client) -> None:
    kinds = ["milk", "cheese", "bread", "soap", "pasta", "coffee", "honey", "rice"]
    for kind in kinds:
        postgres.write("INSERT INTO categories (name) VALUES (:name)", name=kind.capitalize())
        for brand in ("Organic Fields", "Farmhouse", "Morningside"):
            add_of_kind(f"{brand} {kind} {'Whole' if brand != 'Organic Fields' else ''}", kind.capitalize(), brand)
    loose = add_of_kind("Zebra thing", None, "Zebra")
    embed_products()
    content_renewal.renew(lambda: True)
    new = add_of_kind("Organic Fields hay milk", "Milk", "Organic Fields")
    embed_products()
    rows = client.get("/similar-products", params={"product_id": new, "k": 6, "kind": "content"}).json()
    names = [product["name"] for product in rows["similar_products"]]
    assert all("milk" in name for name in names[:3]), names
    # of those, the brand's own is the first
    assert names[0].startswith("Organic Fields milk")
    weights = {
        word: float(weight)
        for word, weight in postgres.read(
            """SELECT w.word,
                      vector_norm(w.weighted) / vector_norm(content_weighted(w.direction, w.products, c.products))
               FROM content_words w, content_counts c WHERE vector_norm(w.weighted) > 0"""
        )
    }
    # a word of one category has all of its weight, and so has a word of products without a category
    assert weights["pasta"] == pytest.approx(1, abs=1e-5)
    assert weights["zebra"] == pytest.approx(1, abs=1e-5)
    # a word of eight of the ten categories, in each as often
    assert weights["morningside"] == pytest.approx(1 - math.log(8) / math.log(10 + 10), abs=1e-5)
    assert loose not in [product["id"] for product in rows["similar_products"]]
