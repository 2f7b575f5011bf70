"""Lists by cursor: nothing is skipped or repeated while rows come and go, whatever the list is ordered by."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.clients import postgres
from shared.errors import InvalidRequest
from shared.storage.catalog import searches
from shared.storage.events import rejected
from shared.storage.operations import audit, training_runs
from shared.storage.paging import Place
from shared.storage.people import accounts, search_history
from tests.integration.conftest import Serve
from tests.integration.people import as_admin

Page = Callable[[Place], tuple[list[Any], int, str | None]]

# of each list: the statement that adds a row, the page, a row's name, and the table and column to remove it by
LISTS: dict[str, tuple[str, Page, Callable[[Any], str], tuple[str, str]]] = {
    "rejected-events": (
        "INSERT INTO rejected_events (message_id, position, event, reason) VALUES (:n, 0, '{}', :n)",
        rejected.page,
        lambda row: row.reason,
        ("rejected_events", "reason"),
    ),
    "training-runs": (
        """INSERT INTO training_runs (job, started_at, ended_at, outcome, details)
           VALUES ('similarity', now(), now(), :n, '{}'), ('evaluation', now(), now(), 'bystander', '{}')""",
        lambda place: training_runs.page(place, "similarity"),
        lambda row: row.outcome,
        ("training_runs", "outcome"),
    ),
    "accounts": (
        """INSERT INTO users (external_id, is_anonymous, username, email, password_hash, role, registered_at)
           VALUES ('acct_' || :n, false, :n, :n || '@shop.example', 'x', 'user', now()),
                  ('acct_s' || :n, false, 's' || :n, 's' || :n || '@shop.example', 'x', 'support', now())""",
        lambda place: accounts.page(place, None, "user"),
        lambda row: row.username,
        ("users", "username"),
    ),
    # ten rows of one time, so that the last column of the key decides
    "search-history": (
        """WITH ann AS (INSERT INTO users (external_id) VALUES ('ann'), ('bob') ON CONFLICT (external_id)
                        DO UPDATE SET last_seen_at = now() RETURNING id)
           INSERT INTO search_history (user_id, query, last_at)
           SELECT id, :n, '2026-03-01 10:00:00.123456+00' FROM ann""",
        lambda place: search_history.page("ann", place),
        lambda row: row.query,
        ("search_history", "query"),
    ),
    "searches": (
        "INSERT INTO search_counts (day, query, searches, results) VALUES (shop_day(now()), :n, length(:n), 0)",
        lambda place: searches.page(30, 0, place),
        lambda row: row.query,
        ("search_counts", "query"),
    ),
}
# with the characters that an order by a language's rules and one by code points place differently
NAMES = ["ä", "b", "C", "a", "żż", "-", "z z", "Zz", "日本", "aa"]


@pytest.mark.parametrize("name", LISTS)
def test_a_cursor_neither_skips_nor_repeats_while_rows_come_and_go(env: object, name: str) -> None:
    add, page, named, (table, column) = LISTS[name]
    for text in NAMES:
        postgres.write(add, n=text)
    everything = [named(row) for row in page(Place(100))[0]]
    assert sorted(everything) == sorted(NAMES)
    first, total, following = page(Place(3))
    assert (total, [named(row) for row in first]) == (10, everything[:3])
    # the row that the cursor names, one before it and one after it go; a new one comes
    for text in (everything[2], everything[0], everything[5]):
        postgres.write(f"DELETE FROM {table} WHERE {column} = :text", text=text)
    postgres.write(add, n="new")
    rest = []
    while following is not None:
        rows, _total, following = page(Place(3, after=following))
        rest += [named(row) for row in rows]
    kept = [text for text in everything[3:] if text != everything[5]]
    assert [text for text in rest if text != "new"] == kept
    assert len(rest) == len(set(rest))


@pytest.mark.parametrize("name", LISTS)
def test_the_last_page_has_no_cursor_and_pages_by_number_are_as_before(env: object, name: str) -> None:
    add, page, named, _where = LISTS[name]
    assert page(Place(3)) == ([], 0, None)
    for text in NAMES[:6]:
        postgres.write(add, n=text)
    everything = [named(row) for row in page(Place(6))[0]]
    assert page(Place(6))[2] is None
    assert page(Place(5))[2] is not None
    second, total, following = page(Place(4, 4))
    assert ([named(row) for row in second], total, following) == (everything[4:], 6, None)


def test_a_cursor_of_another_list_is_refused(env: object) -> None:
    for text in NAMES:
        postgres.write(LISTS["rejected-events"][0], n=text)
    cursor = rejected.page(Place(3))[2]
    for name in LISTS.keys() - {"rejected-events"}:
        with pytest.raises(InvalidRequest, match="after"):
            LISTS[name][1](Place(3, after=cursor))


def test_the_api_gives_the_cursor_and_refuses_it_beside_a_page(env: object, serve: Serve) -> None:
    with postgres.transaction() as connection:
        for number in range(3):
            audit.record(connection, "command-line", "rule.add", f"rule:{number}")
    for text in NAMES[:3]:
        postgres.write(LISTS["rejected-events"][0], n=text)
    client = as_admin(serve("admin"))
    for path, name in (("/admin/audit-log", "subject"), ("/admin/rejected-events", "reason")):
        pages: list[str] = []
        query: dict[str, Any] = {"page_size": 2}
        for _page in range(2):
            body = client.get(path, params=query).json()
            pages += [entry[name] for entry in body["entries"]]
            query |= {"after": body["next"]}
        assert body["next"] is None
        assert len(pages) == len(set(pages)) == 3
    first = client.get("/admin/rejected-events", params={"page_size": 2}).json()["next"]
    for query in ({"after": first, "page": 2}, {"after": "x"}, {"after": ""}):
        assert client.get("/admin/rejected-events", params=query).status_code == 422
    # the cursor of another list
    assert client.get("/admin/audit-log", params={"after": first}).status_code == 422
