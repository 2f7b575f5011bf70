"""The lengths of the histories of users who requested recommendations."""

from shared.clients import postgres
from shared.storage.recommending import request_histories
from tests.integration.shop import StoredEvent, add_events, add_products

LOG = """
INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
VALUES (gen_random_uuid(), :user_id, :kind, 'personalized', '{}', now() - make_interval(hours => :hours_ago))
"""


def log(user_id: str, hours_ago: int, kind: str = "recommendations") -> None:
    postgres.write(LOG, user_id=user_id, kind=kind, hours_ago=hours_ago)


def test_requests_are_counted_by_the_events_before_them(env: dict[str, str]) -> None:
    add_products(5)
    events = [StoredEvent("regular", 1 + number % 5, "view", 10 + number) for number in range(25)]
    events += [StoredEvent("visitor", 1, "view", hours) for hours in (1, 5, 6)]
    add_events(events)
    assert request_histories.count_by_length((3, 20)) == [0, 0, 0]
    log("regular", 9)
    # 18 events lie before it
    log("regular", 17)
    # two of three
    log("visitor", 3)
    log("visitor", 0)
    # neither has a history
    log("visitor", 7)
    log("stranger", 0)
    log("regular", 0, kind="similar")
    assert request_histories.count_by_length((3, 20)) == [1, 2, 1]
