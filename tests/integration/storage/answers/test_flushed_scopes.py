"""Which stored answers a change drops, and which it leaves: the table of docs/architecture.md."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.clients import redis_sync
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import DASHBOARD, EPOCHS, PRODUCT_SCOPES, PRODUCTS, SCOPES, SIMILAR, TRENDING
from tests.integration.cart.conftest import Shopper
from tests.integration.conftest import Serve
from tests.integration.jobs.test_load_events import load, time_after, write
from tests.integration.people import ADMIN
from tests.integration.shop import add_products


@pytest.fixture(autouse=True)
def shop(env: dict[str, str]) -> None:
    """Three products, and an epoch of every scope, so that only a flush changes one."""
    add_products(3)
    assert invalidation.flush()


def flushed_by(change: Callable[[], httpx.Response]) -> set[str]:
    """Return the scopes whose answers a request drops."""
    redis = redis_sync.client()
    before: dict[bytes, bytes] = redis.hgetall(EPOCHS)
    answer = change()
    assert answer.is_success, answer.text
    after: dict[bytes, bytes] = redis.hgetall(EPOCHS)
    return {scope.decode() for scope in after if after[scope] != before[scope]}


@pytest.mark.parametrize(
    ("job", "scopes"),
    [
        ("trending", {TRENDING, DASHBOARD}),
        ("bought_together", {SIMILAR}),
        ("daily_stats", {DASHBOARD}),
        ("segments", set()),
        ("popular", set()),
    ],
)
def test_a_job_drops_the_answers_that_show_what_it_replaces(serve: Serve, job: str, scopes: set[str]) -> None:
    client = serve(job)
    assert flushed_by(lambda: client.post("/", json={})) == scopes


def test_a_history_drops_every_answer(serve: Serve, tmp_path: Path) -> None:
    source = write(tmp_path / "history.csv", f"ann,1,view,{time_after(0)},,,,")
    assert flushed_by(lambda: load(serve, source)) == set(SCOPES)


def test_a_change_of_the_shop_drops_every_answer_and_a_repetition_none(serve: Serve) -> None:
    admin = serve("admin")

    def change(**fields: Any) -> httpx.Response:
        return admin.patch("/admin/shop", json=fields, headers=ADMIN)

    assert flushed_by(lambda: change(currency="EUR")) == set(SCOPES)
    assert flushed_by(lambda: change(currency="EUR")) == set()


def test_an_order_drops_lists_only_if_it_sells_a_product_out_or_brings_it_back(serve: Serve) -> None:
    ann = Shopper(serve("cart"), "ann")
    # each has a stock of five
    for product_id, quantity, scopes in ((1, 4, set()), (2, 5, set(PRODUCT_SCOPES))):
        ann.add(product_id, quantity)
        assert flushed_by(ann.check_out) == scopes
        cancel = f"/orders/{ann.orders()[0]['id']}/cancel"
        assert flushed_by(partial(ann.ask, "POST", cancel)) == scopes


def test_a_synonym_drops_the_answers_of_the_catalog_when_it_comes_and_when_it_goes(serve: Serve) -> None:
    admin = serve("admin")
    synonym = {"term": "couch", "meant": "sofa"}
    assert flushed_by(lambda: admin.post("/admin/synonyms", json=synonym, headers=ADMIN)) == {PRODUCTS}
    synonym_id = admin.get("/admin/synonyms", headers=ADMIN).json()["synonyms"][0]["id"]
    assert flushed_by(lambda: admin.delete(f"/admin/synonyms/{synonym_id}", headers=ADMIN)) == {PRODUCTS}
