"""The wishlist."""

from shared.clients.postgres import write
from tests.integration.cart.conftest import Shopper, outbox_events, problem


def test_a_product_is_on_the_wishlist_once_and_is_one_event(ann: Shopper, bob: Shopper) -> None:
    first = ann.ask("PUT", "/wishlist/3")
    second = ann.ask("PUT", "/wishlist/3")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == ann.ask("GET", "/wishlist/3").json()
    assert first.json()["product"]["id"] == 3
    assert [(event["event_type"], event["product_id"], event["user_id"]) for event in outbox_events()] == [
        ("wishlist", 3, "ann")
    ]
    assert problem(bob.ask("GET", "/wishlist/3")) == (404, "not-in-wishlist")
    # another shopper's is another's, and leaves the first one as it was
    assert bob.ask("PUT", "/wishlist/3").status_code == 201
    assert ann.ask("GET", "/wishlist/3").json() == first.json()
    assert [event["user_id"] for event in outbox_events()] == ["ann", "bob"]


def test_the_wishlist_has_pages_newest_first(ann: Shopper) -> None:
    for product_id in (1, 2, 3):
        ann.ask("PUT", f"/wishlist/{product_id}")
    page = ann.ask("GET", "/wishlist", params={"page_size": 2}).json()
    assert [item["product"]["id"] for item in page["items"]] == [3, 2]
    assert (page["total"], page["total_pages"]) == (3, 2)


def test_removing_twice_is_the_same_as_once(ann: Shopper, bob: Shopper) -> None:
    for shopper in (ann, bob):
        shopper.ask("PUT", "/wishlist/1")
    for _ in range(2):
        assert ann.ask("DELETE", "/wishlist/1").status_code == 204
    assert bob.ask("GET", "/wishlist/1").status_code == 200
    empty = {"items": [], "total": 0, "page": 1, "page_size": 20, "total_pages": 0, "next": None}
    assert ann.ask("GET", "/wishlist").json() == empty


def test_an_inactive_or_unknown_product_cannot_be_on_the_wishlist(ann: Shopper) -> None:
    write("UPDATE products SET is_active = false WHERE id = 2")
    for product_id in (2, 99):
        assert problem(ann.ask("PUT", f"/wishlist/{product_id}")) == (404, "product-not-found")
    for wrong in ("0", "-1", "x", "9007199254740993", "%27;--"):
        assert problem(ann.ask("PUT", f"/wishlist/{wrong}")) == (422, "invalid-request")


def test_the_wishlist_holds_a_thousand_products(ann: Shopper, bob: Shopper) -> None:
    write("""INSERT INTO products (id, external_id, name, price)
             SELECT n, 'M' || n, 'More ' || n, 1 FROM generate_series(101, 1100) AS n""")
    ann.ask("PUT", "/wishlist/101")
    write(
        """INSERT INTO wishlist_items (user_id, product_id) SELECT id, n FROM users, generate_series(102, 1099) AS n"""
    )
    assert ann.ask("PUT", "/wishlist/1100").status_code == 201
    assert problem(ann.ask("PUT", "/wishlist/1")) == (409, "wishlist-full")
    # another shopper's is empty
    assert bob.ask("PUT", "/wishlist/1").status_code == 201
