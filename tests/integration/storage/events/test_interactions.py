"""What training reads of the events: all of them, some days of them, or those of a share of the users."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.data.history import read_history
from shared.clients import postgres
from shared.storage.events import interactions
from tests.integration.conftest import Environment
from tests.integration.shop import StoredEvent, add_events, add_plain_products, now


@pytest.fixture
def shop(env: Environment) -> list[int]:
    """Forty users who view two of three products, one of them twice."""
    ids = add_plain_products(3)
    for user in range(40):
        add_events([StoredEvent(f"u{user}", ids[0], hours_ago=30), StoredEvent(f"u{user}", ids[1 + user % 2])])
    add_events([StoredEvent("u0", ids[0], hours_ago=31)])
    return ids


def test_the_size_counts_events_and_pairs_of_a_user_and_a_product(shop: list[int]) -> None:
    assert interactions.estimate_size(None, one_in=1) == (81, 80)
    assert interactions.estimate_size(now() - timedelta(hours=2), one_in=1) == (40, 40)


def test_a_share_of_the_users_has_all_of_their_events_and_the_same_users_each_time(
    shop: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = read_history(None)
    share = read_history(None, one_in=4)
    assert 0 < len(share.user_ids) < 40
    assert set(share.user_ids) < set(everyone.user_ids)
    of_share = [user in set(share.user_ids.tolist()) for user in everyone.user_ids[everyone.users].tolist()]
    assert sum(of_share) == len(share)
    assert read_history(None, one_in=4).user_ids.tolist() == share.user_ids.tolist()
    # so few events would be counted
    monkeypatch.setattr(interactions, "SAMPLE_EVENTS_MIN", 0)
    estimated = interactions.estimate_size(None, one_in=4)
    assert estimated.events == 4 * len(share)


def test_a_time_ends_before_the_event_at_its_end(shop: list[int]) -> None:
    times = [time.astype(datetime).replace(tzinfo=UTC) for time in read_history(None).times]
    moment = times[41]
    assert len(read_history(None, moment)) == 41
    assert len(read_history(None, moment + timedelta(microseconds=1))) == 42
    assert len(read_history(moment, moment + timedelta(microseconds=1))) == 1
    assert interactions.first_event() == times[0]
    postgres.write("UPDATE events SET counted = false WHERE occurred_at = :first", first=times[0])
    assert interactions.first_event() == times[1]
    postgres.write("UPDATE events SET counted = false")
    assert interactions.first_event() is None


def test_events_that_do_not_count_and_products_that_are_hidden_are_no_history(shop: list[int]) -> None:
    # u0 is a crawler, and the product of every second user is no longer sold
    postgres.write("UPDATE events SET counted = false WHERE user_id = (SELECT id FROM users WHERE external_id = 'u0')")
    assert interactions.estimate_size(None, one_in=1) == (78, 78)
    assert len(read_history(None)) == 78
    postgres.write("UPDATE products SET is_active = false WHERE id = :id", id=shop[2])
    assert len(read_history(None)) == 58
    # the size is that of the events alone
    assert interactions.estimate_size(None, one_in=1) == (78, 78)
