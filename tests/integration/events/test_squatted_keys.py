"""Nobody uses up another user's event id: neither the id nor the key that is derived from user and id."""

import hashlib
from uuid import UUID

import pytest

from shared.clients import postgres
from shared.domain.events import event_key
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_products

ID = "order-77"
VICTIM, BYSTANDER, SQUATTER = "17850", "17851", "eve"


def stored() -> list[tuple[str, str]]:
    rows = postgres.read("SELECT external_id, event_type FROM events JOIN users ON users.id = user_id ORDER BY 1, 2")
    return [(row[0], row[1]) for row in rows]


def key_of(user_id: str) -> str:
    """The stored key of a user's only event."""
    ((key,),) = postgres.read(
        "SELECT event_id FROM events JOIN users ON users.id = user_id WHERE external_id = :user_id", user_id=user_id
    )
    return str(key)


@pytest.fixture
def derived_key(env: dict[str, str], serve: Serve) -> str:
    """The key that the victim's event gets when somebody else has used its id, as anybody can find it out."""
    add_products(3)
    apply = serve("update_preferences")
    deliver(apply, SQUATTER, event(1, event_id=ID))
    deliver(apply, VICTIM, event(1, "purchase", event_id=ID))
    key = key_of(VICTIM)
    postgres.write("TRUNCATE events, event_ids, rejected_events, users CASCADE")
    return key


def by_hash(user_id: str) -> str:
    """The key without the bits of its version, as an earlier version derived it."""
    return str(UUID(bytes=hashlib.sha256(f"{user_id}\n{event_key(ID)}".encode()).digest()[:16]))


@pytest.mark.parametrize("squatted_type", ["view", "purchase"])
def test_a_squatted_id_and_a_squatted_key_take_nothing_from_a_user(
    derived_key: str, serve: Serve, squatted_type: str
) -> None:
    apply, popularity = serve("update_preferences"), serve("update_popularity")
    for squatted in (ID, derived_key, derived_key.upper(), by_hash(VICTIM)):
        deliver(apply, SQUATTER, event(1, squatted_type, event_id=squatted))
    for user_id in (VICTIM, BYSTANDER):
        purchase = event(2, "purchase", event_id=ID)
        # redelivered, each still counts once
        for function in (apply, apply, popularity, popularity):
            assert deliver(function, user_id, purchase).status_code == 200
    assert [row for row in stored() if row[0] != SQUATTER] == [(VICTIM, "purchase"), (BYSTANDER, "purchase")]
    assert postgres.read("SELECT count(*) FROM rejected_events")[0][0] == 0
    assert UUID(key_of(VICTIM)).version == UUID(key_of(BYSTANDER)).version == 8
    assert key_of(VICTIM) == derived_key
    # one event of the squatter's for each id that they sent: two of the four are the same
    assert len([row for row in stored() if row[0] == SQUATTER]) == 3
    assert postgres.read("SELECT count(*) FROM counted_purchases")[0][0] == 2
