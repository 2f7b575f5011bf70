"""Product pages after a checkout: the stock that they show is that of now."""

import httpx

from tests.integration.cart.conftest import Shopper
from tests.integration.conftest import Serve


def quantity(products: httpx.Client, product_id: int) -> int:
    answer = products.get(f"/products/{product_id}")
    assert answer.status_code == 200, answer.text
    return int(answer.json()["quantity"])


def test_the_page_of_a_bought_product_shows_its_new_stock_at_once(ann: Shopper, serve: Serve) -> None:
    products = serve("products")
    assert (quantity(products, 1), quantity(products, 2)) == (5, 5)
    assert products.get("/products/2").headers["cache-status"] == "aisle; hit"
    ann.add(1, 3)
    order = ann.check_out().json()
    assert quantity(products, 1) == 2
    # the page of another product is still the stored one
    assert products.get("/products/2").headers["cache-status"] == "aisle; hit"
    assert ann.ask("POST", f"/orders/{order['id']}/cancel").status_code == 200
    assert quantity(products, 1) == 5
