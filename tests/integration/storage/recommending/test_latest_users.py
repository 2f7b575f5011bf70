"""Whose answers are computed ahead: users by their latest answers, and users with events since a time."""

from datetime import timedelta

from shared.clients import postgres
from shared.storage.recommending import active_users, attribution
from tests.integration.shop import StoredEvent, add_events, add_plain_products, now


def log(user: str, *seconds_ago: float, kind: str = "recommendations") -> None:
    postgres.write(
        """INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
           SELECT gen_random_uuid(), :user, :kind, 's', '{}', now() - make_interval(secs => ago)
           FROM unnest(cast(:ago AS float8[])) AS ago""",
        user=user,
        kind=kind,
        ago=list(seconds_ago),
    )


def test_users_with_most_answers_come_first_then_the_latest(env: object) -> None:
    log("often", 50, 40, 30)
    log("once", 1)
    log("earlier", 20)
    log("b as late", 15)
    postgres.write(
        "INSERT INTO recommendation_log SELECT gen_random_uuid(), 'a as late', kind, strategy, model_version,"
        " product_ids, at FROM recommendation_log WHERE user_id = 'b as late'"
    )
    # neither answers of other routes nor those before the time count
    log("once", 2, 3, 4, kind="similar")
    log("looker", 1, 2, 3, 4, kind="similar")
    log("earlier", 70, 80, 90)
    log("long ago", 61, 62, 63)
    log("just in time", 55)
    expected = ["often", "once", "a as late", "b as late", "earlier", "just in time"]
    assert attribution.latest_users(60, 10) == expected
    assert attribution.latest_users(60, 2) == expected[:2]
    assert attribution.latest_users(0, 10) == []


def test_users_with_an_event_since_a_time_come_in_pages(env: object) -> None:
    (product,) = add_plain_products(1)
    # one after the other: pages are in the order of the users' rows
    for name, hours in (("a", 3), ("b", 1), ("c", 3), ("d", 1), ("e", 1)):
        add_events([StoredEvent(name, product, "view", hours)])
    add_events([StoredEvent("a", product, "view", 9), StoredEvent("c", product, "view", 1)])
    since = now() - timedelta(hours=2)
    first = active_users.read_page(0, since, 2)
    assert [user.external_id for user in first] == ["b", "c"]
    assert [user.external_id for user in active_users.read_page(first[-1].id, since, 2)] == ["d", "e"]
    assert [user.external_id for user in active_users.read_page(0, since - timedelta(hours=2), 9)] == list("abcde")
