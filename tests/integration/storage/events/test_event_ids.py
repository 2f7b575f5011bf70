"""Whose an event's id is: a client's own id counts once per person, and nobody uses up the id of somebody else."""

import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.clients import postgres
from shared.domain.events import event_key
from shared.storage.events import bulk_loading
from shared.storage.events.event_ids import CONFLICT, ORDER_LINE
from tests.integration.concurrency import run_concurrently
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import login, register
from tests.integration.shop import add_products, now

BOUGHT = event(1, "purchase", event_id="order-77", metadata={"quantity": 2})


@pytest.fixture
def apply(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products()
    return serve("update_preferences")


def rows(sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in postgres.read(sql)]


def stored() -> list[tuple[Any, ...]]:
    """Return user, product, type and quantity of every event."""
    return rows(
        """SELECT u.external_id, product_id, event_type, quantity FROM events e JOIN users u ON u.id = e.user_id
           ORDER BY 1, 2, 3, 4"""
    )


def reasons() -> list[str]:
    return [row[0] for row in rows("SELECT reason FROM rejected_events ORDER BY message_id, position")]


def purchases() -> dict[int, int]:
    return {row[0]: row[1] for row in rows("SELECT product_id, purchase_count FROM product_stats") if row[1]}


@pytest.mark.parametrize(
    "event_id", ["order-77", "0b7c4f0e-9d0a-4a53-8a9f-6d5a7f3c2e10", "019ac0de-5a3c-7b04-8645-388718357e4d"]
)
@pytest.mark.parametrize("squat", [event(3), event(1, "purchase", metadata={"quantity": 2})])
def test_an_id_that_another_person_used_first_counts_for_its_owner_too(
    apply: httpx.Client, serve: Serve, event_id: str, squat: dict[str, Any]
) -> None:
    popularity = serve("update_popularity")
    true_event = BOUGHT | {"event_id": event_id}
    for function in (apply, popularity):
        assert deliver(function, "attacker", squat | {"event_id": event_id}).status_code == 200
        for _ in range(2):
            assert deliver(function, "victim", true_event).status_code == 200
    assert [row for row in stored() if row[0] == "victim"] == [("victim", 1, "purchase", 2)]
    assert len(stored()) == 2
    assert purchases() == {1: 2 if squat["event_type"] == "purchase" else 1}
    assert reasons() == []


def test_an_id_known_with_another_product_type_or_quantity_is_rejected_with_the_reason(apply: httpx.Client) -> None:
    deliver(apply, "u1", BOUGHT, message_id="m0")
    others = [
        BOUGHT | {"product_id": 2},
        BOUGHT | {"event_type": "view", "metadata": None},
        BOUGHT | {"metadata": {"quantity": 3}},
    ]
    for _ in range(2):
        for number, other in enumerate(others):
            assert deliver(apply, "u1", other, message_id=f"m{number + 1}").status_code == 200
    # the same event at another time, and of a bystander
    deliver(apply, "u1", BOUGHT | {"timestamp": (now() - timedelta(days=40)).isoformat()})
    deliver(apply, "u2", others[0])
    assert stored() == [("u1", 1, "purchase", 2), ("u2", 2, "purchase", 2)]
    assert reasons() == [CONFLICT] * 3
    (rejected,) = rows("SELECT event FROM rejected_events WHERE message_id = 'm1'")[0]
    assert (rejected["user_id"], rejected["product_id"], rejected["quantity"]) == ("u1", 2, 2)
    assert UUID(rejected["event_id"]) == event_key("order-77")


def test_lines_of_one_id_in_one_message_are_one_event_and_two_rejections(apply: httpx.Client, serve: Serve) -> None:
    lines = [BOUGHT | {"product_id": product} for product in (1, 2, 3, 1)]
    assert deliver(apply, "u1", event(4), *lines, message_id="m").status_code == 200
    assert deliver(serve("update_popularity"), "u1", *lines, message_id="m").status_code == 200
    assert stored() == [("u1", 1, "purchase", 2), ("u1", 4, "view", 1)]
    assert rows("SELECT position, reason FROM rejected_events ORDER BY 1") == [(2, CONFLICT), (3, CONFLICT)]
    assert purchases() == {1: 1}


def test_the_same_event_twice_in_a_message_is_acknowledged_and_stored_once(apply: httpx.Client, serve: Serve) -> None:
    view = event(2)
    for function in (apply, serve("update_popularity")):
        assert deliver(function, "u1", BOUGHT, view, BOUGHT, view).status_code == 200
    assert stored() == [("u1", 1, "purchase", 2), ("u1", 2, "view", 1)]
    assert reasons() == []
    assert purchases() == {1: 1}


def test_an_event_whose_first_copy_is_invalid_counts_by_the_second(apply: httpx.Client) -> None:
    deliver(apply, "u1", BOUGHT | {"product_id": 999}, BOUGHT)
    assert stored() == [("u1", 1, "purchase", 2)]
    assert reasons() == ["unknown product 999"]


def test_ids_move_along_with_a_merged_guest(apply: httpx.Client, serve: Serve) -> None:
    accounts, popularity = serve("accounts"), serve("update_popularity")
    # a stranger used one of the ids first, so that the guest's event has a key of its own
    taken, free, view = BOUGHT, BOUGHT | {"event_id": "order-78"}, event(2, event_id="v")
    for function in (apply, popularity):
        deliver(function, "stranger", taken)
        deliver(function, "browser-1", taken, free, view)
    account = register(accounts, guest_user_id="browser-1")["user_id"]
    for function in (apply, popularity):
        # redelivered, sent again as the account, and as another guest of the same person
        deliver(function, "browser-1", taken, free, view, publishTime="2026-01-01T00:00:00Z")
        deliver(function, account, taken, free, view)
    deliver(apply, "browser-2", event(3))
    assert login(accounts, guest_user_id="browser-2").status_code == 200
    for function in (apply, popularity):
        deliver(function, "browser-2", taken, free, view)
        deliver(function, "bystander", free)
    assert [row for row in stored() if row[0] == account] == [
        (account, 1, "purchase", 2),
        (account, 1, "purchase", 2),
        (account, 2, "view", 1),
        (account, 3, "view", 1),
    ]
    assert [row[0] for row in stored()].count("bystander") == 1
    assert len(stored()) == 6
    # the stranger's, two of the account, the bystander's
    assert purchases() == {1: 4}


def test_people_who_use_one_id_at_the_same_moment_all_count(apply: httpx.Client, serve: Serve) -> None:
    functions = [serve("update_preferences") for _ in range(6)]
    for turn in range(5):
        shared = [BOUGHT | {"event_id": f"click-{turn}-{n}"} for n in range(5)]
        statuses = run_concurrently(
            lambda n, shared=shared: deliver(functions[n], f"u{n // 2}", *shared).status_code, range(6)
        )
        assert statuses == [200] * 6
    assert [row[0] for row in stored()].count("u0") == 25
    assert len(stored()) == 75


def test_an_erased_person_s_ids_hinder_nobody(apply: httpx.Client, serve: Serve) -> None:
    accounts = serve("accounts")
    guest = accounts.post("/auth/guest").json()
    deliver(apply, guest["user_id"], event(3, event_id="order-77"))
    gone = accounts.delete("/users/me", headers={"Authorization": f"Bearer {guest['access_token']}"})
    assert gone.status_code == 204
    # an id that only an erased guest reported
    deliver(apply, guest["user_id"], event(3, event_id="order-78"))
    deliver(apply, "u1", BOUGHT, BOUGHT | {"event_id": "order-78"})
    assert [row for row in stored() if row[0] == "u1"] == [("u1", 1, "purchase", 2)] * 2


def load(*history: dict[str, Any]) -> bulk_loading.Loaded:
    """Load rows of a history."""
    lines = [
        f"{position},{event_key(row['event_id'])},{row['user']},,{row['product']},{row['type']},{row['quantity']},"
        f"{now().isoformat()},,"
        for position, row in enumerate(history)
    ]
    with postgres.transaction() as connection:
        return bulk_loading.append(connection, [io.BytesIO("\n".join(lines).encode())])


def line(user: str, event_id: str, product: int = 1, kind: str = "purchase", quantity: int = 2) -> dict[str, Any]:
    return {"user": user, "event_id": event_id, "product": product, "type": kind, "quantity": quantity}


def test_a_history_follows_the_same_rules(apply: httpx.Client, serve: Serve) -> None:
    accounts, popularity = serve("accounts"), serve("update_popularity")
    for function in (apply, popularity):
        deliver(function, "attacker", BOUGHT | {"product_id": 3})
        deliver(function, "browser-1", BOUGHT)
    account = register(accounts, guest_user_id="browser-1")["user_id"]
    history = (
        line("u1", "1"),
        line("u2", "1", 2),
        line("u1", "1"),
        line("u1", "1", 3),
        line("u1", "1", 1, "view", 1),
        line("victim", "order-77"),
        line(account, "order-77"),
        line("browser-1", "order-77"),
        line("attacker", "order-77", 4),
    )
    loaded = load(*history)
    assert (loaded.stored, loaded.known) == (3, 3)
    assert loaded.faults == [(3, CONFLICT), (4, CONFLICT), (8, CONFLICT)]
    after = stored(), purchases()
    assert after[0] == [
        (account, 1, "purchase", 2),
        ("attacker", 3, "purchase", 2),
        ("u1", 1, "purchase", 2),
        ("u2", 2, "purchase", 2),
        ("victim", 1, "purchase", 2),
    ]
    assert after[1] == {1: 3, 2: 1, 3: 1}
    again = load(*history)
    assert (again.stored, again.known, again.faults) == (0, 6, loaded.faults)
    # the same events sent one by one
    for function in (apply, popularity):
        deliver(function, "u1", BOUGHT | {"event_id": "1"})
        deliver(function, "u2", BOUGHT | {"event_id": "1", "product_id": 2})
        deliver(function, "victim", BOUGHT)
    assert (stored(), purchases()) == after


@pytest.fixture
def order(apply: httpx.Client, serve: Serve) -> dict[str, Any]:
    """An order of two pieces of product 1 and one of product 2, by the guest ``ann``; its own messages are not sent."""
    cart, ann = serve("cart"), {"user_id": "ann"}
    for product, quantity in ((1, 2), (2, 1)):
        cart.post("/cart/items", params=ann, json={"product_id": product, "quantity": quantity})
    answer = cart.post("/cart/checkout", params=ann, json={}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


def reported(order: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Return the purchases of an order as the checkout or the storefront reports them."""
    return [
        event(
            item["product_id"], "purchase", event_id=item["event_id"], metadata={"quantity": item["quantity"]}, **more
        )
        for item in order["items"]
    ]


def test_the_id_of_an_order_s_line_counts_for_its_purchase_alone(
    apply: httpx.Client, serve: Serve, order: dict[str, Any]
) -> None:
    popularity = serve("update_popularity")
    first, second = reported(order)
    for function in (apply, popularity):
        # squatted: as somebody else, as another product, type or quantity
        deliver(function, "attacker", first, second, message_id="m1")
        wrong = [
            first | {"product_id": 3},
            first | {"metadata": {"quantity": 1}},
            first | {"event_type": "add_to_cart"},
        ]
        deliver(function, "ann", *wrong, message_id="m2")
        assert purchases() == {}
        for _ in range(2):
            assert deliver(function, "ann", first, second).status_code == 200
        # by the storefront, with its own clock
        deliver(function, "ann", *reported(order, ago=timedelta(days=33)))
    assert stored() == [("ann", 1, "purchase", 2), ("ann", 2, "purchase", 1)]
    assert purchases() == {1: 1, 2: 1}
    assert reasons() == [ORDER_LINE] * 5


def test_an_order_counts_once_for_the_guest_and_the_account_that_the_guest_became(
    apply: httpx.Client, serve: Serve, order: dict[str, Any]
) -> None:
    popularity, accounts = serve("update_popularity"), serve("accounts")
    first, second = reported(order)
    deliver(apply, "ann", first)
    deliver(popularity, "ann", first)
    account = register(accounts, guest_user_id="ann")["user_id"]
    for function in (apply, popularity):
        deliver(function, account, first, second)
        deliver(function, "ann", first, second)
    assert stored() == [(account, 1, "purchase", 2), (account, 2, "purchase", 1)]
    assert purchases() == {1: 1, 2: 1}
    history = [
        line(account, item["event_id"], item["product_id"], quantity=item["quantity"]) for item in order["items"]
    ]
    loaded = load(*history, line("attacker", order["items"][0]["event_id"]))
    assert (loaded.stored, loaded.known, loaded.faults) == (0, 2, [(2, ORDER_LINE)])


def test_a_line_of_an_order_that_nobody_paid_counts_for_nobody(
    apply: httpx.Client, serve: Serve, order: dict[str, Any]
) -> None:
    postgres.write("DELETE FROM order_state_changes WHERE state = 'paid'")
    first, _second = reported(order)
    for function in (apply, serve("update_popularity")):
        deliver(function, "ann", first)
    assert stored() == []
    assert purchases() == {}
    assert reasons() == [ORDER_LINE]
