"""What algorithms learn from while they are tuned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.arrays import Int64Array
from jobs.models.costs import InputShape
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.models.sequences import Sequences
from jobs.offline.metrics import find_hits, ndcg
from jobs.offline.split import Split, split_last_days
from jobs.tuning.budget import Budget
from jobs.tuning.costs import PREPARED_USER_S, TASTE_S, predict_input, predict_mixing
from jobs.tuning.objective import INPUTS_KEPT, Objective
from jobs.tuning.selection import split_for_tuning
from jobs.tuning.space import SPACES, Space
from shared.domain.formula import FIRST_VIEW_PRIOR_MAX, Formula
from tests.unit.offline import data


def objective() -> Objective:
    split = split_last_days(data.shop(), 7, new_only=False)
    return Objective([split], Catalog.unknown(60))


def test_each_algorithm_gets_its_kind_of_input_of_the_same_weighting() -> None:
    received: list[object] = []

    def fit_neighbours(model_input: object, k: int) -> Neighbours:
        received.append(model_input)
        return Neighbours.none(60, k)

    by_matrix, by_order = Space(Algorithm(fit_neighbours)), Space(Algorithm(fit_neighbours, is_sequential=True))
    tuned = objective()
    for space in (by_matrix, by_order, by_matrix, by_order):
        tuned.fit(space, {}, Weighting(), Budget(60))
    assert [isinstance(model_input, Sequences) for model_input in received] == [False, True, False, True]
    # computed once
    assert received[0] is received[2]
    assert received[1] is received[3]


def test_a_fit_is_estimated_by_the_rows_that_the_weighting_makes() -> None:
    tuned = objective()
    train = tuned.folds[0].split.train

    def seconds(shape: InputShape, parameters: Mapping[str, Any]) -> float:
        return shape.n_rows * 100.0 + shape.n_items * parameters["each"]

    space, parameters = Space(Algorithm(lambda *_: Neighbours.none(60, 1), predict_seconds=seconds)), {"each": 3.0}
    making = predict_input(len(train))
    n_items = len(np.unique(train.items))
    expected = 100 * len(np.unique(train.users)) + 3 * n_items
    assert tuned.predict_fit(space, parameters, Weighting()) == pytest.approx(expected + making)
    pauses = 0
    for user in np.unique(train.users):
        times = np.sort(train.times[train.users == user])
        pauses += int((np.diff(times) > np.timedelta64(1, "D")).sum())
    assert pauses > 0
    expected += 100 * pauses
    by_day = Weighting(session_gap_minutes=1440.0)
    assert tuned.predict_fit(space, parameters, by_day) == pytest.approx(expected + making)


def test_fits_and_scores_are_charged_as_predicted_and_what_is_kept_is_charged_once() -> None:
    tuned, budget, space, formula = objective(), Budget(1e9), SPACES["cosine"], Formula()
    first = tuned.predict_fit(space, space.start, Weighting())
    neighbours = tuned.fit(space, space.start, Weighting(), budget)
    assert budget.spent == first
    again = tuned.predict_fit(space, space.start, Weighting())
    assert again == pytest.approx(first - predict_input(len(tuned.folds[0].split.train)))
    before, predicted = budget.spent, tuned.predict_score(formula)
    tuned.score(neighbours, formula, budget)
    assert budget.spent == before + predicted
    assert tuned.predict_score(formula) < predicted
    # mixing the scores of known candidates costs less, whatever the profile's length, than finding them
    mixed = formula.with_(blend=0.1)
    assert tuned.predict_score(mixed, neighbours) < tuned.predict_score(mixed)
    other = [replace(model) for model in neighbours]
    assert tuned.predict_score(mixed, other) == tuned.predict_score(mixed)
    before, predicted_mix = budget.spent, tuned.predict_score(mixed, neighbours)
    tuned.score(neighbours, mixed, budget)
    assert budget.spent == pytest.approx(before + predicted_mix)
    # a longer profile costs more, another window is prepared first
    assert tuned.predict_score(formula.with_(profile_events=1)) < tuned.predict_score(formula)
    assert tuned.predict_score(formula.with_(trending_window="30d")) == predicted


def two_cuts() -> list[Split]:
    splits, _ = split_for_tuning(data.shop(), new_only=False)
    assert len(splits) == 2
    return splits


@pytest.mark.parametrize("length_shares", [None, (1 / 3, 1 / 3, 1 / 3)])
def test_the_users_of_all_folds_together_are_no_more_than_were_asked_for(
    length_shares: tuple[float, ...] | None,
) -> None:
    tuned = Objective(two_cuts(), Catalog.unknown(60), users_max=60, length_shares=length_shares)
    sizes = [[len(group.relevant_counts) for group in fold.groups] for fold in tuned.folds]
    # a third of them are short histories, if there are any
    assert sizes == ([[30], [30]] if length_shares is None else [[20, 10], [20, 10]])
    another = Objective(two_cuts(), Catalog.unknown(60), users_max=60, length_shares=length_shares, seed=1)
    assert not np.array_equal(another.folds[0].groups[0].recommender.snapshot.users, users_of(tuned))


def users_of(tuned: Objective) -> Int64Array:
    return tuned.folds[0].groups[0].recommender.snapshot.users


def test_answers_with_known_products_alone_have_no_short_histories() -> None:
    # a first visit has none
    tuned = Objective(two_cuts(), Catalog.unknown(60), repeats="only", length_shares=(1 / 3, 1 / 3, 1 / 3))
    assert [len(fold.groups) for fold in tuned.folds] == [1, 1]


def test_visitors_of_short_histories_are_served_as_live_with_the_trends_of_the_days_before() -> None:
    splits = two_cuts()
    tuned = Objective(splits, Catalog.unknown(60), repeats="exclude", length_shares=(1 / 3, 1 / 3, 1 / 3))
    for fold in tuned.folds:
        of_users, of_visitors = (group.recommender.snapshot for group in fold.groups)
        assert (of_users.is_live, of_visitors.is_live) == (False, True)
        for window, trends in of_users.trends.items():
            assert of_visitors.trends[window].tolist() == trends.tolist()
            assert trends.any()


def test_fits_and_scores_are_charged_what_was_predicted_and_less_the_second_time() -> None:
    tuned, budget, space = objective(), Budget(100.0), SPACES["cosine"]
    first = tuned.predict_fit(space, space.start, Weighting())
    neighbours = tuned.fit(space, space.start, Weighting(), budget)
    assert budget.spent == first
    # the input is there by now
    n_events = len(tuned.folds[0].split.train)
    assert tuned.predict_fit(space, space.start, Weighting()) == pytest.approx(first - predict_input(n_events))
    formula = Formula(exclusion_policy="bought", trending_window="7d")
    unprepared = tuned.predict_score(formula)
    before = budget.spent
    tuned.score(neighbours, formula, budget)
    assert budget.spent - before == pytest.approx(unprepared)
    assert tuned.predict_score(formula) == pytest.approx(unprepared - PREPARED_USER_S * len(tuned.weights))
    # another window, and another policy, are prepared on their own
    assert tuned.predict_score(formula.with_(trending_window="30d")) == unprepared
    assert tuned.predict_score(formula.with_(exclusion_policy="seen")) == unprepared


def test_a_model_that_is_unsuitable_costs_nothing() -> None:
    def refusing(_user_items: object, _k: int) -> Neighbours:
        raise Unsuitable("too large")

    budget = Budget(100.0)
    with pytest.raises(Unsuitable):
        objective().fit(Space(Algorithm(refusing)), {}, Weighting(), budget)
    assert budget.spent == 0.0


def test_scores_are_of_the_repeat_weight_in_units_of_each_folds_mean_score() -> None:
    tuned, space = Objective(two_cuts(), Catalog.unknown(60)), SPACES["cosine"]
    neighbours = tuned.fit(space, space.start, Weighting(), Budget(1.0))
    formula = Formula(repeat_weight=3.0, exclusion_policy="nothing", blend=1.0)
    (group,) = tuned.folds[1].groups
    answers = group.recommender.recommend(neighbours[1], formula.with_(repeat_weight=3.0 * neighbours[1].mean_score))
    expected = ndcg(find_hits(answers, group.relevant), group.relevant_counts)
    assert tuned.score(neighbours, formula, Budget(1.0))[-len(expected) :].tolist() == expected.tolist()
    # and they count by the users' weights
    whole = tuned.score(neighbours, formula, Budget(1.0))
    tuned.weights = np.arange(len(whole)) / 10
    assert tuned.score(neighbours, formula, Budget(1.0)) == pytest.approx(whole * tuned.weights)


def test_weights_of_events_matter_if_they_do_before_any_cut() -> None:
    # views alone before the earlier cut
    events = [(user, user % 3 + step, 1.0, step + user / 100) for user in range(9) for step in range(6)]
    later = [(user, user % 3 + 7, 5.0, 8 + user / 100) for user in range(9)]
    last = [(user, user % 3 + 1, 5.0, 12 + user / 100) for user in range(9)]
    newest = split_last_days(data.history(*events, *later, *last, items=12), 2, new_only=False)
    older = split_last_days(newest.train, 3, new_only=False)
    assert not Objective([newest, older], Catalog.unknown(12)).has_one_weight
    assert Objective([older], Catalog.unknown(12)).has_one_weight
    assert not Objective([newest, older], Catalog.unknown(12)).has_only_purchases
    assert not Objective([older], Catalog.unknown(12)).has_only_purchases


def test_a_shop_has_only_purchases_if_it_had_no_other_event_before_any_cut() -> None:
    def split(weight: float) -> Split:
        events = [(user, user % 3 + step, 5.0, step + user / 100) for user in range(9) for step in range(6)]
        return split_last_days(data.history(*events, (0, 1, weight, 0.5), items=12), 2, new_only=False)

    assert Objective([split(5.0)], Catalog.unknown(12)).has_only_purchases
    assert not Objective([split(5.0), split(1.0)], Catalog.unknown(12)).has_only_purchases


def test_the_taste_of_a_new_profile_is_charged() -> None:
    split = split_last_days(data.shop(), 7, new_only=False)
    catalog = replace(Catalog.unknown(60), categories=np.arange(60) % 4)
    tuned, start = Objective([split], catalog), Formula()
    by_profile = start.with_(taste="profile")
    extra = tuned.predict_score(by_profile) - tuned.predict_score(start)
    assert extra == pytest.approx(4 * len(split.users) * TASTE_S)
    neighbours = tuned.fit(SPACES["cosine"], {"min_co_occurrence": 2}, Weighting(), Budget(9.0))
    tuned.score(neighbours, by_profile, Budget(9.0))
    assert tuned.predict_score(by_profile, neighbours) == tuned.predict_score(start, neighbours)


def test_mixing_is_charged_by_the_products_of_all_folds() -> None:
    splits = two_cuts()
    one, two = Objective(splits[:1], Catalog.unknown(60)), Objective(splits, Catalog.unknown(60))
    assert one.predict_mixing(3) == predict_mixing(3, 60)
    assert two.predict_mixing(3) == predict_mixing(3, 120)


def test_few_inputs_are_kept_and_sessions_have_a_shape_of_their_own() -> None:
    tuned, space = objective(), SPACES["cosine"]
    for half_life in (None, 1.0, 2.0, 3.0, 4.0, 5.0):
        tuned.fit(space, space.start, Weighting(half_life), Budget(1.0))
        assert len(tuned._inputs) <= INPUTS_KEPT
    assert (
        Objective([split_last_days(data.shop(), 7, new_only=False)], Catalog.unknown(60), users_max=7)
        .folds[0]
        .groups[0]
        .relevant.shape[0]
        == 7
    )


def test_the_limit_of_the_prior_is_allowed() -> None:
    tuned = Objective(two_cuts(), Catalog.unknown(60), repeats="exclude", length_shares=(1 / 3, 1 / 3, 1 / 3))
    assert tuned.allows(Formula(trending_prior=2 * FIRST_VIEW_PRIOR_MAX, prior_evidence=1.0))
