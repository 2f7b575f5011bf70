"""A shop as it is used: an event changes what its user is shown, and no accepted event is lost whatever dies."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.status import SUPERVISOR
from tests.running import READY, Aisle, left

KILLED = ("PostgreSQL", "Redis", "Pub/Sub", "Events worker", "Jobs worker", "Gateway", "Scheduler", SUPERVISOR)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aisle]:
    """A synthetic shop, loaded and with its jobs run."""
    made = Aisle(tmp_path_factory.mktemp("shop") / "state", data="synthetic")
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        assert made.stop() == 0


def recommended(shop: Aisle, user: str) -> tuple[str, list[int]]:
    found = httpx.get(f"{shop.url}/recommendations", params={"user_id": user, "k": 10}).json()
    return found["strategy"], [product["id"] for product in found["recommendations"]]


def test_a_first_start_loads_a_shop_and_runs_its_jobs(shop: Aisle) -> None:
    said = shop.said()
    for job in ("trending", "popular", "similarity"):
        assert f"Job {job}: done in" in said, said
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
    while (found := recommended(shop, "somebody-new")) == (strategy, before):
        assert time.monotonic() < deadline, "nothing changed"
        time.sleep(0.02)
    assert found[0] == "personalized"


@pytest.mark.parametrize("part", KILLED)
def test_killing_any_part_loses_no_accepted_event(shop: Aisle, part: str) -> None:
    if shop.process is None or shop.process.poll() is not None:
        shop.start()
    assert shop.process is not None
    family = shop.family()
    accepted: list[str] = []
    products = [product["id"] for product in httpx.get(f"{shop.url}/products?page_size=20").json()["products"]]

    def shopper() -> None:
        with httpx.Client(timeout=5) as client:
            for turn in range(10_000):
                event: dict[str, Any] = {
                    "user_id": f"of {part}",
                    "product_id": products[turn % 20],
                    "event_type": "view",
                }
                try:
                    answer = client.post(f"{shop.url}/events", json=event)
                except httpx.HTTPError:
                    return
                if answer.status_code == 202:
                    accepted.append(answer.json()["event_id"])

    thread = threading.Thread(target=shopper)
    thread.start()
    # the first event of a fresh system waits for the publisher to connect
    deadline = time.monotonic() + 60
    while len(accepted) <= 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    (shop.process if part == SUPERVISOR else shop.parts()[part]).kill()
    assert shop.process.wait(60) == (-9 if part == SUPERVISOR else 1)
    thread.join()
    assert left(family) == []
    if part != SUPERVISOR:
        assert f"{part} was ended by SIGKILL" in shop.said()
    assert len(accepted) > 20
    shop.start()
    assert READY in shop.said()
    wanted = set(accepted)
    deadline = time.monotonic() + 120
    while wanted:
        listed = "SELECT event_id FROM events WHERE event_id = ANY('{" + ",".join(wanted) + "}')"
        wanted -= set(shop.run("psql", "-Atc", listed).stdout.split())
        assert time.monotonic() < deadline, f"{len(wanted)} of {len(accepted)} accepted events were lost"
