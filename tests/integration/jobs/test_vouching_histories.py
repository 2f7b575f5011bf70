"""A loaded history vouches for the events that it repeats: what did not count until then counts, once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import messages
from shared.clients import postgres
from shared.event_origin import VOUCHED, Origin
from tests.integration.conftest import Serve
from tests.integration.deliveries import event, push
from tests.integration.shop import add_products, now
from tests.integration.tables import count_rows, table_contents

BROWSER = Origin(client="00c0ffee00c0ffee")
HEADER = "user_id,product_id,event_type,timestamp,quantity,event_id\n"
DERIVED = ("events", "event_counts_hourly", "product_stats", "counted_purchases", "user_purchases", "purchase_lines")


@pytest.fixture
def functions(env: dict[str, str], serve: Serve) -> list[httpx.Client]:
    add_products()
    return [serve("update_preferences"), serve("update_popularity")]


def send(functions: list[httpx.Client], user: str, *events: dict[str, Any], origin: Origin = BROWSER) -> None:
    for function in functions:
        assert push(function, *messages.user_events(user, events, origin=origin)).status_code == 200


def load(serve: Serve, path: Path, *rows: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    lines = (
        f"{user},{sent['product_id']},{sent['event_type']},{sent['timestamp']},1,{sent['event_id']}\n"
        for user, sent in rows
    )
    path.write_text(HEADER + "".join(lines))
    answer = serve("load_events").post("/", json={"source": str(path)})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def counts(product_id: int) -> tuple[int, int, int]:
    """Return the counted purchases and views of a product, and its purchases in the hourly counts."""
    row = postgres.read(
        """SELECT coalesce(sum(purchase_count), 0)::int, coalesce(sum(views), 0)::int,
                  (SELECT coalesce(sum(event_count), 0)::int FROM event_counts_hourly
                   WHERE product_id = :p AND event_type = 'purchase')
           FROM product_stats WHERE product_id = :p""",
        p=product_id,
    )[0]
    return tuple(row)


def test_a_purchase_that_did_not_count_counts_once_a_history_repeats_it(
    functions: list[httpx.Client], serve: Serve, tmp_path: Path
) -> None:
    # without a view before it, no purchase of a browser counts
    repeated, alone, others = event(1, "purchase"), event(1, "purchase"), event(1, "purchase")
    send(functions, "ann", repeated, alone)
    send(functions, "bob", others)
    assert counts(1) == (0, 0, 0)
    result = load(serve, tmp_path / "h.csv", ("ann", repeated), ("ann", event(2, "view")))
    assert (result["stored"], result["known"]) == (1, 1)
    assert counts(1) == (1, 0, 1)
    assert (
        postgres.read("SELECT event_id::text FROM events WHERE counted AND event_type = 'purchase'")[0][0]
        == (repeated["event_id"])
    )
    # the same history again, and the shop's server, change nothing
    before = table_contents(*DERIVED)
    load(serve, tmp_path / "again.csv", ("ann", repeated))
    send(functions, "ann", repeated, origin=VOUCHED)
    assert table_contents(*DERIVED) == before


def test_a_history_of_nothing_but_known_events_vouches_for_them(
    functions: list[httpx.Client], serve: Serve, tmp_path: Path
) -> None:
    views = [event(3, "view", ago=timedelta(minutes=n)) for n in range(3)]
    # one view a visitor, product and day counts
    send(functions, "ann", *views)
    assert counts(3) == (0, 1, 0)
    result = load(serve, tmp_path / "h.csv", *(("ann", view) for view in views), ("ann", views[0]))
    assert (result["stored"], result["known"]) == (0, 4)
    assert counts(3) == (0, 3, 0)
    hourly = postgres.read("SELECT sum(event_count)::int FROM event_counts_hourly WHERE product_id = 3")
    assert hourly[0][0] == 3


def test_a_purchase_that_was_given_back_stays_given_back(
    functions: list[httpx.Client], serve: Serve, tmp_path: Path
) -> None:
    bought = event(1, "purchase", metadata={"order_id": "o1"})
    send(functions, "ann", bought, event(None, "refund", metadata={"order_id": "o1"}))
    load(serve, tmp_path / "h.csv", ("ann", bought))
    assert counts(1) == (0, 0, 0)
    assert count_rows("events", "counted AND event_type = 'purchase'") == 0


def test_no_browser_gives_back_a_counted_purchase_that_a_history_repeats(
    functions: list[httpx.Client], serve: Serve, tmp_path: Path
) -> None:
    bought = {user: event(1, "purchase", metadata={"order_id": f"of {user}"}) for user in ("ann", "bob")}
    for user, purchase in bought.items():
        send(functions, user, event(1, "view", ago=timedelta(minutes=1)), purchase)
    assert counts(1) == (2, 2, 2)
    load(serve, tmp_path / "h.csv", ("ann", bought["ann"]))
    assert counts(1) == (2, 2, 2)
    for user in bought:
        send(functions, user, event(None, "refund", metadata={"order_id": f"of {user}"}))
    assert postgres.read("SELECT order_id, vouched, returned FROM purchase_lines ORDER BY 1") == [
        ("of ann", True, 0),
        ("of bob", False, 1),
    ]
    assert counts(1) == (1, 2, 1)


def test_a_line_whose_event_retention_has_deleted_belongs_to_nobody_else(
    functions: list[httpx.Client], serve: Serve, tmp_path: Path
) -> None:
    bought = event(1, "purchase", metadata={"order_id": "of ann"})
    send(functions, "ann", bought)
    for table in ("events", "event_ids"):
        postgres.write(f"DELETE FROM {table}")
    # the second row repeats the first one, not what ann bought
    load(serve, tmp_path / "h.csv", ("bob", bought), ("bob", bought))
    assert postgres.read("SELECT order_id, vouched FROM purchase_lines") == [("of ann", False)]


def test_another_person_s_history_vouches_for_nobody_else(
    functions: list[httpx.Client], serve: Serve, tmp_path: Path
) -> None:
    bought = event(1, "purchase")
    send(functions, "ann", bought)
    load(serve, tmp_path / "h.csv", ("bob", bought))
    assert counts(1) == (1, 0, 1)
    assert postgres.read(
        "SELECT u.external_id, e.counted FROM events e JOIN users u ON u.id = e.user_id ORDER BY 1"
    ) == [("ann", False), ("bob", True)]


def test_the_purchase_of_a_guest_who_was_merged_counts_once(
    functions: list[httpx.Client], serve: Serve, tmp_path: Path
) -> None:
    bought = event(1, "purchase", ago=timedelta(hours=2))
    send(functions, "guest-1", bought)
    postgres.write(
        """WITH account AS (INSERT INTO users (external_id) VALUES ('acct_1') RETURNING id), moved AS (
               UPDATE events SET user_id = (SELECT id FROM account))
           UPDATE users SET merged_into = (SELECT id FROM account), merged_at = :at WHERE external_id = 'guest-1'""",
        at=now(),
    )
    load(serve, tmp_path / "h.csv", ("acct_1", bought))
    assert counts(1) == (1, 0, 1)
    send(functions, "acct_1", bought, origin=VOUCHED)
    assert counts(1) == (1, 0, 1)
