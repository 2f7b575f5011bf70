"""Products whose pieces are not counted: in stock for every order, or for none."""

from shared.clients import postgres
from tests.integration.cart.conftest import Shopper, problem, set_stock, stock


def uncounted(product_id: int, quantity: int) -> None:
    postgres.write("UPDATE products SET stock_counted = false WHERE id = :id", id=product_id)
    set_stock(product_id, quantity)


def test_orders_do_not_use_up_what_is_not_counted(ann: Shopper, bob: Shopper) -> None:
    uncounted(1, 1)
    for shopper in (ann, bob):
        assert shopper.add(1, 3).status_code == 201
        assert shopper.add(2, 2).status_code == 201
        assert [item["changes"] for item in shopper.cart()["items"]] == [[], []]
        assert shopper.check_out().status_code == 201
    # the counted product beside it is used up
    assert (stock(1), stock(2)) == (1, 1)


def test_a_cancelled_order_gives_back_what_is_counted_alone(ann: Shopper) -> None:
    uncounted(1, 1)
    ann.add(1, 3)
    ann.add(2, 2)
    order = ann.check_out().json()
    assert ann.ask("POST", f"/orders/{order['id']}/cancel").status_code == 200
    assert (stock(1), stock(2)) == (1, 5)


def test_what_is_not_counted_may_still_be_sold_out(ann: Shopper) -> None:
    uncounted(1, 1)
    assert ann.add(1, 2).status_code == 201
    set_stock(1, 0)
    assert ann.cart()["items"][0]["changes"] == ["out_of_stock"]
    assert problem(ann.check_out()) == (409, "out-of-stock")
    assert ann.in_cart() == {1: 2}
