"""A shop in use: an event changes its user's recommendations, and no accepted event is lost when a process dies."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.status import SUPERVISOR
from tests.running import READY, Aisle, still_running, wait_for_part

KILLED = (
    "PostgreSQL",
    "Redis",
    "Pub/Sub",
    "Events worker",
    "Jobs worker",
    "Gateway",
    "Scheduler",
    "Telemetry",
    SUPERVISOR,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aisle]:
    """A synthetic shop, loaded, whose jobs have run."""
    system = Aisle(tmp_path_factory.mktemp("shop") / "state", data="synthetic")
    system.start()
    yield system
    if system.process is not None and system.process.poll() is None:
        assert system.stop() == 0


def recommended(shop: Aisle, user: str) -> tuple[str, list[int]]:
    body = httpx.get(f"{shop.url}/recommendations", params={"user_id": user, "k": 10}).json()
    return body["strategy"], [product["id"] for product in body["recommendations"]]


def test_a_first_start_loads_a_shop_and_runs_its_jobs(shop: Aisle) -> None:
    output = shop.printed()
    for job in ("trending", "popular", "similarity"):
        assert f"Job {job}: done in" in output, output
    assert httpx.get(f"{shop.url}/products?page_size=1").json()["total"] == 1000
    assert httpx.get(f"{shop.url}/health/ready").json()["ready"]
    trending = httpx.get(f"{shop.url}/trending?window=7d&k=5").json()["products"]
    assert [product["rank"] for product in trending] == [1, 2, 3, 4, 5]


def test_a_view_changes_its_user_s_recommendations(shop: Aisle) -> None:
    strategy, before = recommended(shop, "somebody-new")
    assert strategy == "trending"
    product = httpx.get(f"{shop.url}/products?page_size=1&page=500").json()["products"][0]["id"]
    event = {"user_id": "somebody-new", "product_id": product, "event_type": "view"}
    assert httpx.post(f"{shop.url}/events", json=event).status_code == 202
    # how long it takes is measured, not tested: ./aisle bench freshness
    deadline = time.monotonic() + 30
    while (answer := recommended(shop, "somebody-new")) == (strategy, before):
        assert time.monotonic() < deadline, "nothing changed"
        time.sleep(0.02)
    assert answer[0] == "personalized"


def test_a_request_is_followed_to_its_effect(shop: Aisle) -> None:
    event = {"user_id": "traced", "product_id": 1, "event_type": "view"}
    assert httpx.post(f"{shop.url}/events", json=event, headers={"X-Request-ID": "to-its-effect"}).status_code == 202
    expected = [
        "POST /events  202",
        "publish user-events",
        "update_preferences",
        "postgresql  WITH",
    ]
    deadline = time.monotonic() + 60
    tree = shop.run("trace", "to-its-effect").stdout
    while not all(name in tree for name in expected):
        assert time.monotonic() < deadline, tree
        tree = shop.run("trace", "to-its-effect").stdout
    metrics = httpx.get(f"{shop.url}/metrics").text
    deadline = time.monotonic() + 30
    while 'faas_name="update_preferences"' not in metrics:
        assert time.monotonic() < deadline, metrics
        time.sleep(0.2)
        metrics = httpx.get(f"{shop.url}/metrics").text
    assert (
        'aisle_job_duration_seconds_count{aisle_outcome="succeeded",faas_name="trending",service="jobs"} 1' in metrics
    )
    # a page of another origin may not read them
    assert httpx.get(f"{shop.url}/metrics", headers={"Origin": "https://elsewhere.example"}).status_code == 403


def bought(shop: Aisle, product: int) -> tuple[int, int]:
    """Return how often a product was bought: by all users, and by the user `buyer`."""
    counts = f"""SELECT (SELECT purchase_count FROM product_stats WHERE product_id = {product}),
        coalesce((SELECT purchase_count FROM user_purchases p JOIN users u ON u.id = p.user_id
                  WHERE u.external_id = 'buyer' AND p.product_id = {product}), 0)"""
    of_shop, of_buyer = shop.run("psql", "-AtF", " ", "-c", counts).stdout.split()
    return int(of_shop), int(of_buyer)


def test_a_sold_out_product_disappears_and_its_purchase_counts_once(shop: Aisle) -> None:
    with httpx.Client(base_url=shop.url, timeout=30) as client:
        popular = client.get("/products", params={"in_stock": "true", "sort": "popular", "page_size": 100}).json()
        product = min(popular["products"], key=lambda candidate: candidate["quantity"])
        number = product["id"]
        before, _ = bought(shop, number)
        me = {"user_id": "buyer"}
        item = {"product_id": number, "quantity": product["quantity"]}
        assert client.post("/cart/items", params=me, json=item).status_code == 201
        order = client.post("/cart/checkout", params=me, headers={"Idempotency-Key": "k"})
        assert order.status_code == 201
        listed = {"search": product["name"], "in_stock": "true", "page_size": 100}
        in_stock = client.get("/products", params=listed).json()["products"]
        assert number not in {product["id"] for product in in_stock}
        # within a second on a machine that has nothing else to do; the deadline is for what never follows
        deadline = time.monotonic() + 60
        while [product["id"] for product in client.get("/buy-again", params=me).json()["products"]] != [number]:
            assert time.monotonic() < deadline, "the purchase was not stored"
            time.sleep(0.02)
        while bought(shop, number) != (before + 1, 1):
            assert time.monotonic() < deadline, "the purchase was not counted"
        # the storefront reports it too, and then something else that tells when both have arrived
        event = me | {"product_id": number, "event_type": "purchase", "event_id": order.json()["items"][0]["event_id"]}
        assert client.post("/events", json=event).status_code == 202
        second_product = 1 if number != 1 else 2
        bought_before, _ = bought(shop, second_product)
        # nothing vouches for this purchase: it counts because its visitor has viewed the product
        other = event | {"product_id": second_product, "event_id": "other"}
        view = me | {"product_id": second_product, "event_type": "view"}
        assert client.post("/events/batch", json={"events": [view, other]}).status_code == 202
        while bought(shop, second_product) != (bought_before + 1, 1):
            assert time.monotonic() < deadline, "the events were not counted"
        assert bought(shop, number) == (before + 1, 1)


@pytest.mark.parametrize("part", KILLED)
def test_killing_any_part_loses_no_accepted_event(shop: Aisle, part: str) -> None:
    if shop.process is None or shop.process.poll() is not None:
        shop.start()
    assert shop.process is not None
    family = shop.family()
    accepted: list[str] = []
    is_enough = threading.Event()
    products = [product["id"] for product in httpx.get(f"{shop.url}/products?page_size=20").json()["products"]]

    def shopper() -> None:
        with httpx.Client(timeout=5) as client:
            for turn in range(10_000):
                event: dict[str, Any] = {
                    "user_id": f"of {part}",
                    "product_id": products[turn % 20],
                    "event_type": "view",
                }
                if is_enough.is_set():
                    return
                try:
                    answer = client.post(f"{shop.url}/events", json=event)
                except httpx.HTTPError:
                    continue
                if answer.status_code == 202:
                    accepted.append(answer.json()["event_id"])

    thread = threading.Thread(target=shopper)
    thread.start()
    # the first event of a fresh system waits for the publisher to connect
    deadline = time.monotonic() + 60
    while len(accepted) <= 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    if part == SUPERVISOR:
        shop.process.kill()
        assert shop.process.wait(60) == -9
        is_enough.set()
        thread.join()
        assert still_running(family) == []
        shop.start()
        assert READY in shop.printed()
    else:
        before = shop.parts()[part]
        before.kill()
        wait_for_part(shop, part, before.pid)
        assert f"{part} was ended by SIGKILL" in shop.printed()
        is_enough.set()
        thread.join()
        assert shop.process.poll() is None
    assert len(accepted) > 20
    missing = set(accepted)
    deadline = time.monotonic() + 120
    while missing:
        listed = "SELECT event_id FROM events WHERE event_id = ANY('{" + ",".join(missing) + "}')"
        missing -= set(shop.run("psql", "-Atc", listed).stdout.split())
        assert time.monotonic() < deadline, f"{len(missing)} of {len(accepted)} accepted events were lost"
