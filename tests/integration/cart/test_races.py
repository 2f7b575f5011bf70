"""Many shoppers at once, in real threads against the real Postgres: no overselling and no deadlock."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier, Event

import httpx
import orjson
import pytest

from shared.clients import bulkhead
from shared.clients.postgres import read, write
from shared.messages import catalog_changes
from tests.integration.cart.conftest import Shopper, problem, set_stock, stock
from tests.integration.conftest import Serve
from tests.integration.deliveries import push
from tests.integration.people import ADMIN

# a request that waits in a circle is ended by Postgres after a second, and is a 500 here; this is for a hang
DEADLINE_S = 120


@pytest.fixture
def patient(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    """A client whose requests may take long, because many requests share few processors."""
    # waits for locks of two seconds would be taken for a stalled database, and answered with 503
    monkeypatch.setattr(bulkhead, "STALLED_S", DEADLINE_S)
    client.timeout = httpx.Timeout(DEADLINE_S)
    return client


def fill_carts(carts: dict[str, dict[int, int]]) -> None:
    """Store carts: quantities by product, by the user's name."""
    write("INSERT INTO users (external_id) SELECT unnest(cast(:names AS text[]))", names=list(carts))
    rows = [(name, product, count) for name, cart in carts.items() for product, count in cart.items()]
    write(
        """INSERT INTO cart_items (user_id, product_id, quantity, price_when_added)
           SELECT u.id, c.product_id, c.quantity, p.price
           FROM unnest(cast(:names AS text[]), cast(:products AS bigint[]), cast(:counts AS integer[]))
               AS c(name, product_id, quantity)
           JOIN users u ON u.external_id = c.name JOIN products p ON p.id = c.product_id""",
        names=[row[0] for row in rows],
        products=[row[1] for row in rows],
        counts=[row[2] for row in rows],
    )


def check_out_all(client: httpx.Client, names: list[str], threads: int = 32) -> dict[str, httpx.Response]:
    """Check out all carts at once; return the answers by name."""
    barrier = Barrier(threads)

    def check_out(name: str) -> httpx.Response:
        return Shopper(client, name).check_out()

    with ThreadPoolExecutor(threads, initializer=barrier.wait) as pool:
        return dict(zip(names, pool.map(check_out, names), strict=True))


def test_two_shoppers_racing_for_the_last_one_get_one_order_and_one_refusal(patient: httpx.Client) -> None:
    for round_ in range(5):
        set_stock(1, 1)
        names = [f"{side}-{round_}" for side in ("left", "right")]
        fill_carts({name: {1: 1, 2 + index: 1} for index, name in enumerate(names)})
        answers = check_out_all(patient, names, threads=2)
        assert sorted(answer.status_code for answer in answers.values()) == [201, 409]
        (lost,) = [name for name, answer in answers.items() if answer.status_code == 409]
        assert problem(answers[lost]) == (409, "out-of-stock")
        assert answers[lost].json()["lines"] == [
            {
                "product_id": 1,
                "external_id": "SKU1",
                "name": "Product 1",
                "requested": 1,
                "available": 0,
                "reason": "out_of_stock",
            }
        ]
        assert stock(1) == 0
        # what the loser could have had is still there, and still in the cart
        assert len(Shopper(patient, lost).in_cart()) == 2


def test_200_checkouts_of_10_products_sell_exactly_the_stock(patient: httpx.Client) -> None:
    chance = Random(7)
    # the carts contain about 600 pieces, the stock is 300
    write("UPDATE products SET quantity = 30")
    carts = {
        f"shopper-{number}": {product: chance.randint(1, 2) for product in chance.sample(range(1, 11), 2)}
        for number in range(200)
    }
    fill_carts(carts)
    answers = check_out_all(patient, list(carts))
    statuses = Counter(answer.status_code for answer in answers.values())
    assert set(statuses) <= {201, 409}, statuses
    assert statuses[201] >= 100
    assert {problem(answer)[1] for answer in answers.values() if answer.status_code == 409} == {"out-of-stock"}
    sold = Counter[int]()
    for name, answer in answers.items():
        if answer.status_code == 201:
            sold.update(carts[name])
    remaining = {int(row[0]): int(row[1]) for row in read("SELECT id, quantity FROM products")}
    assert {product: 30 - sold[product] for product in remaining} == remaining
    assert min(remaining.values()) >= 0
    # each refusal was right: the remaining stock is still too small for the cart
    for name, answer in answers.items():
        if answer.status_code == 409:
            assert any(remaining[product] < count for product, count in carts[name].items()), name
    bought = {int(row[0]): int(row[1]) for row in read("SELECT product_id, sum(quantity) FROM order_items GROUP BY 1")}
    assert bought == dict(sold)
    orders = Counter(row[0] for row in read("SELECT state FROM orders"))
    assert orders == {"paid": statuses[201]}
    assert int(read("SELECT count(*) FROM cart_items")[0][0]) == 2 * statuses[409]


def test_carts_in_opposite_order_cancels_and_catalog_writes_never_wait_in_a_circle(
    patient: httpx.Client, serve: Serve
) -> None:
    write("UPDATE products SET quantity = 100000")
    fill_carts({f"shopper-{number}": {} for number in range(16)})
    products, refresh = serve("products"), serve("refresh_catalog")
    over = Event()

    def catalog() -> Counter[int]:
        """Import feeds in the opposite order and refresh the catalog until the shoppers have finished."""
        statuses = Counter[int]()
        headers = ADMIN | {"Content-Type": "application/jsonl"}
        while not over.is_set():
            name = f"renamed {sum(statuses.values())}"
            rows = [{"external_id": f"SKU{number}", "name": f"{name} {number}"} for number in range(10, 0, -1)]
            feed = b"\n".join(orjson.dumps(row | {"price": 1}) for row in rows)
            statuses[products.post("/products/import", content=feed, headers=headers).status_code] += 1
            data, attributes = catalog_changes(list(range(1, 11)), "updated")
            statuses[push(refresh, data, attributes).status_code] += 1
        return statuses

    def shop(number: int) -> list[int]:
        shopper = Shopper(patient, f"shopper-{number}")
        order = list(range(1, 11)) if number % 2 else list(range(10, 0, -1))
        statuses = []
        for turn in range(4):
            statuses += [shopper.add(product).status_code for product in order]
            if number % 4 == 3:
                # given up by the payment: everything goes back while others take it
                statuses.append(shopper.check_out(payment_token="decline").status_code)
                statuses.append(shopper.ask("DELETE", "/cart").status_code)
                continue
            answer = shopper.check_out()
            statuses.append(answer.status_code)
            if turn % 2:
                statuses.append(shopper.ask("POST", f"/orders/{answer.json()['id']}/cancel").status_code)
        return statuses

    with ThreadPoolExecutor(17) as pool:
        written = pool.submit(catalog)
        try:
            seen = Counter(status for statuses in pool.map(shop, range(16)) for status in statuses)
        finally:
            over.set()
    assert set(seen) == {200, 201, 402}, seen
    assert set(written.result()) == {200}
    sold = read("""SELECT coalesce(sum(i.quantity), 0) FROM order_items i JOIN orders o ON o.id = i.order_id
                   WHERE o.state = 'paid'""")
    taken_from_stock = read("SELECT sum(100000 - quantity) FROM products")
    # twelve shoppers, two orders each that were not cancelled, of ten products
    assert (int(sold[0][0]), int(taken_from_stock[0][0])) == (240, 240)


def test_one_shopper_in_two_windows_buys_a_cart_once(patient: httpx.Client) -> None:
    fill_carts({"ann": {1: 2, 2: 1}})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _n: Shopper(patient, "ann").check_out(), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert {problem(answer)[1] for answer in answers if answer.status_code == 409} == {"cart-empty"}
    assert (stock(1), stock(2)) == (3, 4)


def test_one_shopper_adding_in_many_windows_loses_no_piece(patient: httpx.Client) -> None:
    set_stock(1, 50)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _n: Shopper(patient, "ann").add(1), range(40)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 39}
    assert Shopper(patient, "ann").in_cart() == {1: 40}
