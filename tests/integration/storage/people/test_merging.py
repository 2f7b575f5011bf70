"""What a merge leaves of the account's own, and leaves with other guests."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.clients import postgres
from shared.domain.preferences import HALF_LIFE
from shared.storage.people import merging
from tests.integration.shop import add_plain_products

pytestmark = pytest.mark.usefixtures("env")
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
Place = tuple[float | None, float | None, str | None]


def add_user(user_id: str, place: Place = (None, None, None)) -> int:
    rows = postgres.write(
        """INSERT INTO users (external_id, latitude, longitude, city)
           VALUES (:user, :latitude, :longitude, :city) RETURNING id""",
        user=user_id,
        latitude=place[0],
        longitude=place[1],
        city=place[2],
    )
    return int(rows[0][0])


def merge(guest_id: str, account: int, account_id: str) -> None:
    with postgres.transaction() as connection:
        assert merging.merge(connection, guest_id, account, account_id).merged


@pytest.mark.parametrize(
    ("own", "guests", "expected"),
    [
        ((None, None, None), (52.5, 13.4, "Berlin"), (52.5, 13.4, "Berlin")),
        ((None, None, "Rome"), (52.5, 13.4, "Berlin"), (52.5, 13.4, "Rome")),
        ((41.9, 12.5, "Rome"), (52.5, 13.4, "Berlin"), (41.9, 12.5, "Rome")),
        # another place's name would be wrong
        ((41.9, 12.5, None), (52.5, 13.4, "Berlin"), (41.9, 12.5, None)),
        ((None, None, "Rome"), (None, None, "Berlin"), (None, None, "Rome")),
    ],
)
def test_an_account_keeps_its_location(own: Place, guests: Place, expected: Place) -> None:
    account, other = add_user("ann", own), add_user("eve")
    add_user("browser-1", guests)
    merge("browser-1", account, "ann")
    rows = postgres.read(
        "SELECT id, latitude, longitude, city FROM users WHERE id IN (:ann, :eve)", ann=account, eve=other
    )
    assert {row[0]: tuple(row[1:]) for row in rows} == {account: expected, other: (None, None, None)}


@pytest.mark.parametrize("guest_is_first", [True, False])
def test_searches_have_the_first_and_the_last_time_of_both(guest_is_first: bool) -> None:
    account, guest, other = add_user("ann"), add_user("browser-1"), add_user("browser-2")
    times = [(NOON, NOON + timedelta(hours=1)), (NOON + timedelta(days=1), NOON + timedelta(days=2))]
    of_account, of_guest = times[::-1] if guest_is_first else times
    for user, (first_at, last_at) in ((account, of_account), (guest, of_guest), (other, of_guest)):
        postgres.write(
            "INSERT INTO search_history (user_id, query, searches, first_at, last_at) VALUES (:user, 'bag', 2, :a, :b)",
            user=user,
            a=first_at,
            b=last_at,
        )
    merge("browser-1", account, "ann")
    rows = postgres.read("SELECT user_id, searches, first_at, last_at FROM search_history ORDER BY 1")
    assert [tuple(row) for row in rows] == [(account, 4, NOON, NOON + timedelta(days=2)), (other, 2, *of_guest)]


@pytest.mark.parametrize("guest_is_first", [True, False])
def test_sums_and_purchases_of_both_are_those_of_the_newer_time(guest_is_first: bool) -> None:
    account, guest, other = add_user("ann"), add_user("browser-1"), add_user("browser-2")
    (product,) = add_plain_products(1)
    later = NOON + HALF_LIFE
    of_account, of_guest = (later, NOON) if guest_is_first else (NOON, later)
    for table, columns in {
        "user_price_bands": "4, 8, 16, at",
        "user_preferences": "'tag', 'brass', 4, at",
        "user_purchases": f"{product}, 2, at, at + interval '1 hour'",
    }.items():
        postgres.write(
            f"""INSERT INTO {table} SELECT user_id, {columns}
                FROM unnest(cast(:users AS bigint[]), cast(:times AS timestamptz[])) AS stored(user_id, at)""",
            users=[account, guest, other],
            times=[of_account, of_guest, of_guest],
        )
    merge("browser-1", account, "ann")
    # of two equal sums a half-life apart, the older one counts half at the time of the newer one
    bands = postgres.read("SELECT user_id, weight, log_sum, square_sum, as_of FROM user_price_bands ORDER BY 1")
    assert [tuple(row) for row in bands] == [(account, 6, 12, 24, later), (other, 4, 8, 16, of_guest)]
    tastes = postgres.read("SELECT user_id, score, as_of FROM user_preferences ORDER BY 1")
    assert [tuple(row) for row in tastes] == [(account, 6, later), (other, 4, of_guest)]
    hour = timedelta(hours=1)
    bought = postgres.read("SELECT user_id, purchase_count, first_at, last_at FROM user_purchases ORDER BY 1")
    assert [tuple(row) for row in bought] == [
        (account, 4, NOON, later + hour),
        (other, 2, of_guest, of_guest + hour),
    ]


def test_logged_answers_that_are_counted_already_stay_with_the_guest() -> None:
    account = add_user("ann")
    logged: dict[tuple[str, float], str] = {}
    for user, hours in (("browser-1", 24.9), ("browser-1", 25.1), ("browser-2", 1)):
        logged[user, hours] = str(uuid4())
        postgres.write(
            """INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
               VALUES (cast(:id AS uuid), :user, 'k', 's', '{}', now() - make_interval(secs => :age))""",
            id=logged[user, hours],
            user=user,
            age=hours * 3600,
        )
    merge("browser-1", account, "ann")
    owners = {str(row[0]): row[1] for row in postgres.read("SELECT id, user_id FROM recommendation_log")}
    assert owners == {
        logged["browser-1", 24.9]: "ann",
        logged["browser-1", 25.1]: "browser-1",
        logged["browser-2", 1]: "browser-2",
    }


def test_lines_refunds_and_guests_of_the_guest_follow_and_those_of_others_do_not() -> None:
    account = add_user("ann")
    for user in ("browser-1", "browser-2"):
        guest = add_user(user)
        postgres.write(
            """INSERT INTO purchase_lines (event_id, sent_id, user_id, order_id, product_id, quantity, vouched,
                   occurred_at) VALUES (gen_random_uuid(), gen_random_uuid(), :user, 'o', 1, 1, true, now())""",
            user=guest,
        )
        postgres.write(
            """INSERT INTO refunds (event_id, user_id, order_id, product_id, quantity, vouched)
               VALUES (gen_random_uuid(), :user, 'o', 1, 1, true)""",
            user=guest,
        )
        postgres.write(
            """INSERT INTO orders (id, user_id, request_hash, state, total)
               VALUES (gen_random_uuid(), :user, '', 'paid', 1)""",
            user=guest,
        )
        postgres.write(
            "INSERT INTO users (external_id, merged_into) VALUES (:tab, :user)", tab=f"{user}-tab", user=guest
        )
    merge("browser-1", account, "ann")
    for table in ("purchase_lines", "refunds", "orders"):
        rows = postgres.read(f"SELECT external_id FROM {table} t JOIN users u ON u.id = t.user_id ORDER BY 1")
        assert [row[0] for row in rows] == ["ann", "browser-2"], table
    rows = postgres.read(
        """SELECT u.external_id, o.external_id FROM users u JOIN users o ON o.id = u.merged_into
           WHERE u.external_id LIKE '%-tab' ORDER BY 1"""
    )
    assert [tuple(row) for row in rows] == [("browser-1-tab", "ann"), ("browser-2-tab", "browser-2")]
