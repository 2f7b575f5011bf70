"""The benchmark's peers that know the order of events, against figures worked out by hand."""

import math

import numpy as np
import pytest

from benchmarks.peers import PEERS, best_answers
from benchmarks.sequence_peers import Score, Sessions, sequential_rules, stan, vsknn
from jobs.offline.split import Split, leave_last_out
from tests.unit.offline import data

MINUTE = 1 / 1440
# User 0 meets 0, 1 and 2 in turn, and 3 a day later; user 1 meets 1 and 2, and 4 a day later; user 2 meets 1 alone and
# is asked for. Each one's last event, of item 5, is held out.
EVENTS = [
    *((0, item, 5.0, item * MINUTE) for item in range(3)),
    (0, 3, 5.0, 1.0),
    (1, 1, 5.0, 0.0),
    (1, 2, 5.0, MINUTE),
    (1, 4, 5.0, 1.0),
    (2, 1, 5.0, 1.0),
    *((user, 5, 5.0, 2.0) for user in range(3)),
]


@pytest.fixture
def split() -> Split:
    return leave_last_out(data.history(*EVENTS), new_only=False)


def scores(score: Score, user: int) -> list[float]:
    return score(None, np.array([user]))[0].tolist()


def test_sessions_end_with_a_pause_and_the_query_is_the_latest_with_the_latest_item_first(split: Split) -> None:
    sessions = Sessions.of(split, 30.0)
    assert sessions.users.tolist() == [0, 0, 1, 1, 2]
    assert [sessions.query(user).tolist() for user in range(3)] == [[3], [4], [1]]
    whole = Sessions.of(split, None)
    assert [whole.query(user).tolist() for user in range(3)] == [[3, 2, 1, 0], [4, 2, 1], [1]]


def test_sequential_rules_sum_what_followed_by_the_inverse_distance(split: Split) -> None:
    rules = sequential_rules(split, gap_minutes=None, steps=3, distance_power=1.0, query_decay=0.5)
    # item 1 was followed by 2 twice, by 3 and by 4 at distance 2
    assert scores(rules, 2) == [0, 0, 2, 0.5, 0.5, 0]
    # user 0's 2 was followed by 3 and 4, and counts half as it lies one back; 1 a quarter, 0 an eighth
    expected = [0, 1 / 8, 2 / 4 + 1 / 16, 1 / 2 + 1 / 8 + 1 / 24, 1 / 2 + 1 / 8, 0]
    assert scores(rules, 0) == pytest.approx(expected)
    within = sequential_rules(split, gap_minutes=30.0, steps=3, distance_power=1.0, query_decay=0.5)
    assert scores(within, 2) == [0, 0, 2, 0, 0, 0]


def test_nearest_sessions_leave_out_the_query_itself(split: Split) -> None:
    # by users: item 1 is one of four and one of three
    far, near = 1 / math.sqrt(4), 1 / math.sqrt(3)
    expected = [far, far + near, far + near, far, near, 0]
    assert scores(vsknn(split, gap_minutes=None, k=10, idf=0.0), 2) == pytest.approx(expected)
    # one neighbour is left of two
    assert scores(vsknn(split, gap_minutes=None, k=1, idf=0.0), 2) == pytest.approx([0, near, near, 0, near, 0])


def test_v_sknn_weighs_rare_items_more(split: Split) -> None:
    plain = scores(vsknn(split, gap_minutes=None, k=10, idf=0.0), 2)
    weighted = scores(vsknn(split, gap_minutes=None, k=10, idf=1.0), 2)
    # of three users, three have item 1 and one has item 4
    assert weighted[1] / plain[1] == pytest.approx(math.log(2))
    assert weighted[4] / plain[4] == pytest.approx(math.log(4))


def test_stan_decays_by_the_distance_from_the_match_and_by_age(split: Split) -> None:
    parameters = {"gap_minutes": None, "k": 10, "query_steps": 1.0}
    plain = scores(stan(split, **parameters, recency_days=None, near_steps=None), 2)
    near = scores(stan(split, **parameters, recency_days=None, near_steps=1.0), 2)
    assert near[1] == pytest.approx(plain[1])
    # items 0 and 2 lie beside item 1, item 3 two steps off
    assert near[0] == pytest.approx(plain[0] * math.exp(-1))
    assert near[3] == pytest.approx(plain[3] * math.exp(-2))
    by_session = {"gap_minutes": 30.0, "k": 10, "query_steps": 1.0, "near_steps": None}
    ages = scores(stan(split, **by_session, recency_days=1.0), 2)
    fresh = scores(stan(split, **by_session, recency_days=None), 2)
    # user 0's session ended 2 minutes after the start of day 0, the query a day later
    assert ages[0] == pytest.approx(fresh[0] * math.exp(-(1 - 2 * MINUTE)))


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.is_sequential])
def test_every_peer_of_order_is_tuned_and_answers(name: str) -> None:
    split = leave_last_out(data.shop(users=40, events=800), new_only=True)
    inner = leave_last_out(split.train, new_only=True)
    answers, description = best_answers(name, split, inner, processor_budget_s=0.0)
    assert answers.shape == (len(split.users), 20)
    assert description.startswith("1 tried")
    known = {(int(user), int(item)) for user, item in zip(split.train.users, split.train.items, strict=True)}
    first = [(int(user), int(row[0])) for user, row in zip(split.users, answers, strict=True)]
    assert not known & set(first)
