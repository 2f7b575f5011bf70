"""Model selection: the right algorithm wins, budgets hold, and small shops get a safe default."""

import itertools
import json
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from jobs.data.catalog import Catalog
from jobs.models.arrays import Matrix
from jobs.models.costs import InputShape
from jobs.models.ease import ease_side
from jobs.models.errors import TooLarge, Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.offline.split import NothingToMeasure, split_last_days
from jobs.tuning.budget import Clock
from jobs.tuning.choice import Choice
from jobs.tuning.objective import Objective, select_relevant
from jobs.tuning.selection import choose_model
from jobs.tuning.space import SPACES, Space
from jobs.tuning.splits import split_for_tuning
from jobs.tuning.starts import other_starts, starting_formula
from shared.domain.formula import FIRST_VIEW_PRIOR_MAX, PRIOR_EVIDENCE, Formula, Repeats
from tests.unit.offline import data


def nonsense(user_items: Matrix, k: int, **_: object) -> Neighbours:
    """Return random neighbours."""
    n_items = user_items.shape[1]
    neighbours = Neighbours.none(n_items, k)
    random = np.random.default_rng(0)
    for item in range(n_items):
        items = random.permutation(n_items)[:k]
        neighbours.indices[item, : len(items)] = items
        neighbours.scores[item, : len(items)] = 0.5
    return neighbours


def unknown(items: int = 60) -> Catalog:
    return Catalog.unknown(items)


def test_an_algorithm_that_learns_beats_a_random_one() -> None:
    spaces = {"nonsense": Space(Algorithm(nonsense)), "cosine": SPACES["cosine"]}
    choice = choose_model(data.shop(), unknown(), time_budget_s=3, new_only=True, spaces=spaces)
    assert choice.algorithm == "cosine"
    scores = {trial["algorithm"]: trial["ndcg@20"] for trial in choice.trials}
    assert scores["cosine"] > scores["nonsense"] > 0
    assert choice.neighbours.indices.shape == (60, 50)
    assert choice.score == pytest.approx(scores["cosine"], abs=1e-5)


@pytest.mark.parametrize("budget_s", [0.0, 1.0])
def test_a_budget_of_a_second_gives_an_answer_in_seconds(budget_s: float) -> None:
    started = time.perf_counter()
    choice = choose_model(data.shop(), unknown(), time_budget_s=budget_s)
    assert time.perf_counter() - started < budget_s + 60
    assert choice.neighbours.counts.any()
    assert choice.score is not None
    if budget_s == 0:
        notes = {trial["algorithm"]: trial["note"] for trial in choice.trials if trial["ndcg@20"] is None}
        # the four cheapest run whatever the budget
        assert len(notes) == len(SPACES) - 4
        # EASE is cheap in a shop of 60 products
        assert {"ease_head", "als"} <= notes.keys()
        assert all("budget" in note for note in notes.values())


def test_a_small_shop_gets_plain_cosine_with_the_reason() -> None:
    choice = choose_model(data.shop(events=300), unknown(), time_budget_s=1)
    assert (choice.algorithm, choice.score, choice.trials) == ("cosine", None, [])
    assert choice.reason == "safe default: 300 events, fewer than 1000"


def test_a_shop_whose_users_never_come_back_gets_the_default() -> None:
    history = data.history(*((user, user % 40, 5.0, user / 20) for user in range(1500)))
    choice = choose_model(history, unknown(40), time_budget_s=1)
    assert choice.reason.startswith("safe default: no user has both")


def test_no_events_are_a_clear_reason() -> None:
    with pytest.raises(NothingToMeasure, match="no events"):
        choose_model(data.history(users=1, items=1), unknown(1), time_budget_s=1)


def test_the_exclusion_policy_follows_the_share_of_repurchases() -> None:
    random = np.random.default_rng(1)
    spaces = {"cosine": SPACES["cosine"]}
    # everybody buys their own three products again and again
    repurchases = [
        (int(user), (int(user) * 7 + int(random.integers(0, 3))) % 60, 5.0, day + random.random())
        for day in range(90)
        for user in random.integers(0, 100, 30)
    ]
    returning = choose_model(data.history(*repurchases, items=60), unknown(), time_budget_s=4, spaces=spaces)
    assert returning.score is not None
    assert returning.formula.exclusion_policy == "nothing"
    assert returning.formula.repeat_weight > 0
    # everybody buys everything of their kind, each once
    once = [
        (user, int(item) * 2 + user % 2, 5.0, float(random.random() * 90))
        for user in range(100)
        for item in random.permutation(30)
    ]
    moving_on = choose_model(data.history(*once, items=60), unknown(), time_budget_s=4, spaces=spaces)
    assert moving_on.score is not None
    assert moving_on.formula.exclusion_policy != "nothing"


def test_a_model_gets_a_formula_for_each_kind_of_answers() -> None:
    choice = choose_model(
        data.shop(),
        unknown(),
        time_budget_s=3,
        repeats="exclude",
        other_repeats=("include", "only"),
        length_shares=(1 / 3, 1 / 3, 1 / 3),
        spaces={"cosine": SPACES["cosine"]},
    )
    parameters = choice.model_parameters()
    assert choice.score is not None
    assert parameters["serving"]["returning"] in ("unbought", "unseen")
    assert parameters["serving_include"]["returning"] == "all"
    assert parameters["serving_only"]["returning"] == "met"
    # known products are worth naming where they are relevant
    assert choice.other_formulae["only"].repeat_weight > 0
    # what is known of a visitor counts from the first view
    for formula in (choice.formula, *choice.other_formulae.values()):
        assert formula.trending_prior * formula.prior_share(1) <= FIRST_VIEW_PRIOR_MAX


def test_a_small_shop_gets_a_formula_for_each_kind_of_answers() -> None:
    choice = choose_model(data.shop(events=300), unknown(), time_budget_s=1, other_repeats=("include", "only"))
    assert choice.formula.exclusion_policy == "bought"
    assert {repeats: formula.exclusion_policy for repeats, formula in choice.other_formulae.items()} == {
        "include": "nothing",
        "only": "unmet",
    }
    assert choice.formula.prior_evidence == PRIOR_EVIDENCE


def test_what_is_relevant_depends_on_the_kind_of_answers() -> None:
    before = ((0, 0, 5, 0), (0, 1, 1, 1), (1, 3, 1, 1))
    after = ((0, 0, 5, 9), (0, 1, 5, 9), (0, 2, 5, 9), (1, 0, 5, 9), (2, 0, 5, 9))
    split = split_last_days(data.history(*before, *after, items=4), 5, new_only=False)

    def relevant(repeats: Repeats) -> list[list[int]]:
        return [np.flatnonzero(row).tolist() for row in select_relevant(split, repeats).toarray()[:2]]

    assert relevant("include") == [[0, 1, 2], [0]]
    # product 0 was bought before, product 1 was only viewed
    assert relevant("exclude") == [[1, 2], [0]]
    assert relevant("only") == [[0, 1], []]


def test_what_everybody_sees_counts_little_after_one_view_however_right_it_would_be() -> None:
    splits, _ = split_for_tuning(data.shop(), new_only=False)
    objective = Objective(splits, unknown(), repeats="exclude", length_shares=(1.0, 0.0, 0.0))
    assert objective.allows(Formula(trending_prior=0.59, prior_evidence=1.0))
    assert not objective.allows(Formula(trending_prior=0.61, prior_evidence=1.0))
    assert not objective.allows(Formula(trending_prior=3.0))
    assert all(objective.allows(start) for start in other_starts(objective, starting_formula(objective)))
    # an objective that takes all users alike is free
    assert Objective(splits, unknown()).allows(Formula(trending_prior=3.0))


def test_short_histories_are_scored_beside_long_ones_and_count_by_their_share() -> None:
    splits, _ = split_for_tuning(data.shop(), new_only=False)
    shares = (0.6, 0.3, 0.1)
    weighed = Objective(splits, unknown(), repeats="exclude", length_shares=shares)
    plain = Objective(splits, unknown(), repeats="exclude")
    lengths = np.concatenate([group.history_lengths() for fold in weighed.folds for group in fold.groups])
    assert (weighed.weights.mean(), len(weighed.weights)) == (pytest.approx(1.0), len(lengths))
    assert weighed.weights[lengths < 3].sum() == pytest.approx(0.6 * len(lengths))
    assert weighed.weights[lengths >= 20].sum() == pytest.approx(0.1 * len(lengths))
    assert set(plain.weights.tolist()) == {1.0}
    assert not any((group.history_lengths() < 3).all() for fold in plain.folds for group in fold.groups)


def test_an_algorithm_beyond_its_memory_limit_is_skipped_with_a_reason() -> None:
    def too_large(user_items: Matrix, _k: int, **_: object) -> Neighbours:
        ease_side(*user_items.shape, memory_budget_bytes=100)
        raise AssertionError

    spaces = {"ease": Space(Algorithm(too_large)), "cosine": SPACES["cosine"]}
    choice = choose_model(data.shop(), unknown(), time_budget_s=1, spaces=spaces)
    assert choice.algorithm == "cosine"
    assert "budget" in next(trial["note"] for trial in choice.trials if trial["algorithm"] == "ease")
    assert ease_side(10, 1_000_000) == 10
    with pytest.raises(TooLarge):
        ease_side(50_000, 60_000)


def half(kind: int) -> Space:
    """Return a space whose algorithm finds neighbours of one kind of products only."""

    def fit(user_items: Matrix, k: int, **_: object) -> Neighbours:
        neighbours = SPACES["cosine"].algorithm.fit(user_items, k, min_co_occurrence=1)
        strangers = np.arange(len(neighbours.indices)) % 2 != kind
        neighbours.indices[strangers], neighbours.scores[strangers], neighbours.co_occurrence[strangers] = -1, 0, 0
        return neighbours

    return Space(Algorithm(fit))


def test_candidates_that_know_different_things_are_mixed() -> None:
    spaces = {"even": half(0), "odd": half(1)}
    choice = choose_model(data.shop(), unknown(), time_budget_s=6, new_only=True, spaces=spaces)
    assert choice.algorithm == "mixture"
    parts = choice.model_parameters()["parts"]
    assert {part["algorithm"] for part in parts} == {"even", "odd"}
    assert all(part["share"] >= 1 for part in parts)
    scores = {trial["algorithm"]: trial["ndcg@20"] for trial in choice.trials}
    assert scores["mixture"] > max(scores["even"], scores["odd"])
    # fitted on everything, both halves have neighbours
    assert choice.neighbours.counts.all()
    assert json.loads(json.dumps(choice.model_parameters()))["parts"] == parts


def test_a_part_that_does_not_fit_on_everything_gives_way_to_the_next_best() -> None:
    history = data.shop()

    def only_before_the_cut(user_items: Matrix, k: int, **_: object) -> Neighbours:
        if user_items.nnz == history.user_items().nnz:
            raise Unsuitable("too much")
        return half(1).algorithm.fit(user_items, k)

    spaces = {"even": half(0), "odd": Space(Algorithm(only_before_the_cut))}
    choice = choose_model(history, unknown(), time_budget_s=6, new_only=True, spaces=spaces)
    assert choice.algorithm == "even"
    assert (
        next(trial["note"] for trial in choice.trials if trial["algorithm"] == "mixture") == "not published: too much"
    )


def test_an_algorithm_whose_fit_exceeds_its_share_of_the_budget_is_not_tried() -> None:
    def seconds(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
        return shape.n_rows * shape.n_items / 1000

    cheap = {name: SPACES[name] for name in ("cosine", "popularity", "tfidf", "rp3beta")}
    spaces = {**cheap, "slow": Space(Algorithm(nonsense, predict_seconds=seconds))}
    choice = choose_model(data.shop(), unknown(), time_budget_s=2, spaces=spaces)
    slow = next(trial for trial in choice.trials if trial["algorithm"] == "slow")
    assert (slow["ndcg@20"], slow["state"]) == (None, "too costly")
    assert slow["note"] == "not tried: a fit would take more than 25% of the budget"
    # 7,200 pairs before each of two cuts
    patient = choose_model(data.shop(), unknown(), time_budget_s=60, spaces=spaces)
    assert next(trial for trial in patient.trials if trial["algorithm"] == "slow")["ndcg@20"] is not None


def test_a_clock_that_runs_wild_changes_nothing_of_the_choice() -> None:
    spaces = {name: SPACES[name] for name in ("cosine", "rp3beta")}

    def choose(clock: Clock) -> Choice:
        return choose_model(data.shop(), unknown(), time_budget_s=2, spaces=spaces, clock=clock)

    jumps = itertools.cycle((0.0, 59.9, 0.1, 30.0, -1e6))
    wild, still = choose(lambda: next(jumps)), choose(lambda: 0.0)
    assert json.dumps(wild.metrics()) == json.dumps(still.metrics())
    assert wild.model_parameters() == still.model_parameters()
    assert wild.neighbours.scores.tobytes() == still.neighbours.scores.tobytes()
    assert not wild.is_aborted
    assert len(wild.trials) > 1


def test_a_choice_that_was_aborted_says_so_and_is_the_best_so_far() -> None:
    spaces = {name: SPACES[name] for name in ("cosine", "rp3beta")}
    # the first reading begins the watch
    readings = itertools.chain((0.0,), itertools.repeat(60.001))
    choice = choose_model(data.shop(), unknown(), time_budget_s=2, spaces=spaces, clock=lambda: next(readings))
    assert choice.is_aborted
    assert choice.reason.startswith("ABORTED after 60 s with a budget of 2 s: best of 1 trial")
    assert choice.metrics()["aborted"]
    assert choice.neighbours.counts.any()


def test_libraries_of_linear_algebra_run_in_one_thread_while_a_model_is_chosen() -> None:
    threads: set[int] = set()

    def fit_neighbours(user_items: Matrix, k: int) -> Neighbours:
        threads.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return nonsense(user_items, k)

    choose_model(data.shop(), unknown(), time_budget_s=0, spaces={"cosine": Space(Algorithm(fit_neighbours))})
    assert threads == {1}


def test_a_choice_from_a_sample_says_so_and_is_fitted_on_everyone() -> None:
    history, rows = data.shop(users=400, events=60_000), set[int]()

    def fit_neighbours(user_items: Matrix, k: int) -> Neighbours:
        rows.add(int((np.diff(user_items.indptr) > 0).sum()))
        return SPACES["cosine"].algorithm.fit(user_items, k)

    def seconds(_shape: InputShape, _parameters: Mapping[str, Any]) -> float:
        return 1e3

    spaces = {"cosine": Space(Algorithm(fit_neighbours, predict_seconds=seconds))}
    choice = choose_model(history, unknown(), time_budget_s=1, spaces=spaces)
    assert re.search(r", tuned on a sample of \d\d,\d\d\d of 60,000 events$", choice.reason)
    # before the cuts, and of everyone in the end
    assert max(rows) == 400
    assert min(rows) < 380


def test_a_repeat_weight_is_stored_in_similarity_and_the_newest_quality_is_of_the_newest_users() -> None:
    choice = choose_model(
        data.shop(),
        unknown(),
        time_budget_s=0,
        repeats="include",
        other_repeats=("only",),
        spaces={"cosine": SPACES["cosine"]},
    )
    tuned = choice.trials[0]["serving"]["repeat_weight"]
    assert tuned > 0
    assert choice.formula.repeat_weight == pytest.approx(tuned * choice.neighbours.mean_score)
    assert choice.other_formulae["only"].repeat_weight < 1.0 < tuned
    splits, days = split_for_tuning(data.shop(), new_only=False)
    assert choice.newest is not None
    assert choice.newest.users == len(Objective(splits[:1], unknown(), repeats="include").weights)
    assert choice.metrics()["holdout_days"] == days


def test_a_shop_is_small_below_a_thousand_events() -> None:
    spaces = {"cosine": SPACES["cosine"]}
    for events, is_small in ((999, True), (1_000, False)):
        choice = choose_model(data.shop(events=events), unknown(), time_budget_s=0, spaces=spaces)
        assert choice.reason.startswith("safe default") == is_small
