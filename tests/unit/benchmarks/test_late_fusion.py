"""Two lists of neighbours with profiles of their own."""

import numpy as np

from benchmarks.late_fusion import LayeredUsers
from jobs.data.catalog import Catalog
from jobs.models.cosine import cosine_neighbours
from jobs.models.rp3beta import rp3beta_neighbours
from jobs.offline.metrics import find_hits, ndcg
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import split_last_days
from shared.domain.formula import Formula
from tests.unit.offline.data import shop

SPLIT = split_last_days(shop(), 20, new_only=True)
N_ITEMS = len(SPLIT.train.product_ids)
SNAPSHOT = Snapshot(SPLIT.train, SPLIT.now, SPLIT.users, SPLIT.known_items, Catalog.unknown(N_ITEMS))
RELEVANT = SPLIT.relevant[SPLIT.users]
FORMULA = Formula(rank_decay=0.9, blend=1.0, trending_prior=0.3, prior_evidence=3.0, exclusion_policy="seen")
USERS = LayeredUsers(SNAPSHOT, RELEVANT, compiled=False)
COSINE = cosine_neighbours(SPLIT.train.user_items(), 20)
OTHER = rp3beta_neighbours(SPLIT.train.user_items(), 20)


def test_one_layer_is_what_is_served_today() -> None:
    answers = OfflineRecommender(SNAPSHOT, 20, compiled=False).recommend(COSINE, FORMULA)
    served = ndcg(find_hits(answers, RELEVANT), np.diff(RELEVANT.indptr).astype(np.int64))
    assert served.mean() > 0
    assert USERS.score([(COSINE, FORMULA, 1.0)], FORMULA).tolist() == served.tolist()
    # a list cut into two equal layers is the same list
    halves = [(COSINE, FORMULA, 0.5), (COSINE, FORMULA, 0.5)]
    np.testing.assert_allclose(USERS.score(halves, FORMULA), served, atol=1e-9)


def test_each_layer_has_its_own_list_and_profile() -> None:
    alone = USERS.score([(COSINE, FORMULA, 1.0)], FORMULA)
    other_list = USERS.score([(COSINE, FORMULA, 1.0), (OTHER, FORMULA, 1.0)], FORMULA)
    other_profile = USERS.score([(COSINE, FORMULA, 1.0), (OTHER, FORMULA.with_(rank_decay=0.5), 1.0)], FORMULA)
    assert len({tuple(scores.tolist()) for scores in (alone, other_list, other_profile)}) == 3
