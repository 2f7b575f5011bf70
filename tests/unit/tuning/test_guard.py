"""A worse model is not published, on the same users and the same days."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.models.registry import Algorithm
from jobs.models.sequences import Sequences
from jobs.models.transitions import transitions_neighbours
from jobs.offline.split import NothingToMeasure, select_events
from jobs.tuning.budget import Budget
from jobs.tuning.fitting import NEIGHBOURS, fit, part
from jobs.tuning.guard import (
    STORED_USERS_MIN,
    PublishedModel,
    Quality,
    compare,
    find_stored_advantage,
    is_newest,
    measure_fall,
    refit,
)
from jobs.tuning.objective import Objective
from jobs.tuning.selection import choose_model
from jobs.tuning.space import SPACES, Space
from jobs.tuning.splits import split_for_tuning
from jobs.tuning.warm_start import ActiveVersion, read_version
from shared.domain.formula import Formula
from tests.unit.offline import data

CATALOG = Catalog.unknown(60)
COSINE = {"min_co_occurrence": 2}
# fits and scores that are no search
BUDGET = Budget(0.0)


def objective(**options: Any) -> Objective:
    splits, _ = split_for_tuning(data.shop(), new_only=False)
    return Objective(splits, CATALOG, repeats="exclude", **options)


def version(
    algorithm: str, parameters: dict[str, Any], formula: Formula | None = None, **metrics: Any
) -> ActiveVersion:
    stored = parameters | {"serving": (formula or Formula()).parameters()}
    active = read_version(5, algorithm, stored, metrics, SPACES)
    assert active is not None
    return active


def test_the_newest_days_are_those_of_the_first_cut() -> None:
    tuned = objective()
    newest = is_newest(tuned)
    assert newest.sum() == len(tuned.folds[0].groups[0].relevant_counts)
    assert newest[: newest.sum()].all()
    assert 0 < newest.sum() < len(newest)
    # short histories of the first cut are newest as well
    weighed = objective(length_shares=(0.5, 0.3, 0.2))
    assert is_newest(weighed).sum() == sum(len(group.relevant_counts) for group in weighed.folds[0].groups)
    assert len(weighed.folds[0].groups) == 2


def test_quality_is_the_weighted_mean_over_users() -> None:
    quality = Quality.of(np.array([0.2, 1.2]), np.array([0.5, 2.0]))
    assert (quality.mean, quality.users) == (pytest.approx(1.4 / 2.5), 2)
    assert quality.error == pytest.approx(0.5 / np.sqrt(2) / 1.25)


def scores(tuned: Objective, newest: float, older: float, spread: float = 0.1) -> Any:
    """Return scores whose means on the newest and the older days are exactly these, the same users high or low."""
    random = np.random.default_rng(1).normal(0, spread, len(tuned.weights))
    is_new = is_newest(tuned)
    random[is_new] += newest - random[is_new].mean()
    random[~is_new] += older - random[~is_new].mean()
    return random


def noise(tuned: Objective, error: float) -> Any:
    """Return differences with mean 0 and this standard error on the newest days, and none on older days."""
    is_new = is_newest(tuned)
    values = np.random.default_rng(2).normal(0, 1, len(is_new))
    values[~is_new] = 0
    values[is_new] -= values[is_new].mean()
    values[is_new] *= error * np.sqrt(is_new.sum()) / values[is_new].std()
    return values


@pytest.mark.parametrize(
    ("newest", "older", "keeps", "reason"),
    [
        # the newest days decide, whatever older ones say
        (-0.04, 0.0, True, "worse than version 5's parameters on the newest days"),
        (-0.04, 0.2, True, "worse than version 5's parameters on the newest days"),
        (0.04, -0.2, False, "better than version 5's parameters on the newest days"),
        # within 0.3 standard errors on the newest days
        (-0.02, 0.0, False, "no worse than version 5's parameters"),
        (-0.02, -0.1, True, "worse than version 5's parameters on all held-out days"),
        (0.02, -0.1, True, "worse than version 5's parameters on all held-out days"),
        (-0.02, 0.1, False, "no worse than version 5's parameters"),
        (0.0, 0.0, False, "no worse than version 5's parameters"),
    ],
)
def test_the_newest_days_decide_and_all_days_where_those_do_not(
    newest: float, older: float, keeps: bool, reason: str
) -> None:
    tuned = objective()
    active = scores(tuned, 0.3, 0.3)
    choice = scores(tuned, 0.3 + newest, 0.3 + older) + noise(tuned, 0.1)
    comparison = compare(tuned, 5, choice, active)
    assert comparison.keeps_parameters == keeps
    assert reason in comparison.reason
    assert comparison.gain == pytest.approx(newest)
    assert comparison.error == pytest.approx(0.1)
    assert comparison.as_json() == {
        "version": 5,
        "kept_parameters": keeps,
        "reason": comparison.reason,
        "chosen": comparison.choice.as_json(),
        "active": {
            "ndcg@20": 0.3,
            "standard_error": round(comparison.active.error, 5),
            "users": int(is_newest(tuned).sum()),
        },
        "gain": round(newest, 5),
        "gain_standard_error": 0.1,
    }


def test_gains_are_in_units_of_ndcg_whatever_the_users_weigh() -> None:
    tuned = objective(length_shares=(0.7, 0.2, 0.1))
    tuned.weights[is_newest(tuned)] *= 2
    weights = tuned.weights[is_newest(tuned)]
    choice, active = (np.random.default_rng(seed).random(len(tuned.weights)) * tuned.weights for seed in (1, 2))
    comparison = compare(tuned, 5, choice, active)
    assert comparison.gain == pytest.approx(comparison.choice.mean - comparison.active.mean)
    gains = (choice - active)[is_newest(tuned)]
    assert comparison.error == pytest.approx(gains.std() / np.sqrt(len(gains)) / weights.mean())


def test_scores_decide_with_their_factor_and_figures_are_without_it() -> None:
    tuned = objective()
    active = scores(tuned, 0.3, 0.3)
    choice = active + 0.01
    worse = compare(tuned, 5, choice * 0.25, active, choice_factor=0.25)
    assert worse.keeps_parameters
    assert "the score of the choice is multiplied by 0.25" in worse.reason
    assert "version 5 counts" not in worse.reason
    better = compare(tuned, 5, choice, active * 0.25, active_factor=0.25)
    assert not better.keeps_parameters
    assert "the score of version 5 is multiplied by 0.25" in better.reason
    plain = compare(tuned, 5, choice, active)
    assert "of that" not in plain.reason
    for comparison in (worse, better, plain):
        assert comparison.gain == pytest.approx(0.01)
        assert (comparison.choice.mean, comparison.active.mean) == (pytest.approx(0.31), pytest.approx(0.3))


@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_a_list_too_much_like_a_strangers_is_no_fall_of_quality(factor: float) -> None:
    tuned = objective()
    active = replace(version("cosine", COSINE), score=0.3, standard_error=0.01)
    again = refit(tuned, active, SPACES, BUDGET)
    again = replace(again, scores=scores(tuned, 0.3, 0.2) * factor, factor=factor)
    fall = measure_fall(tuned, active, again)
    assert fall is not None
    assert fall.now == pytest.approx(0.3)
    assert not fall.is_drift()
    # a real one is
    fall = measure_fall(tuned, active, replace(again, scores=again.scores * 0.5))
    assert fall is not None
    assert fall.is_drift()


def test_a_mixture_fitted_again_is_charged_for_its_parts_its_mixing_and_its_scores() -> None:
    tuned, budget = objective(), Budget(100.0)
    parts = [part("cosine", COSINE, Weighting(30.0), 2), part("popularity", {}, Weighting(), 1)]
    expected = tuned.predict_fit(SPACES["cosine"], COSINE, Weighting(30.0))
    expected += tuned.predict_fit(SPACES["popularity"], {}, Weighting())
    active = version("mixture", {"parts": parts})
    expected += tuned.predict_mixing(2) + tuned.predict_score(active.formula)
    refit(tuned, active, SPACES, budget)
    assert budget.spent == pytest.approx(expected)


def test_a_model_fitted_again_has_the_scores_of_its_own_values() -> None:
    tuned = objective()
    formula = Formula(blend=1.0, repeat_weight=0.0, weight_power=0.5)
    again = refit(tuned, version("cosine", COSINE, formula), SPACES, BUDGET)
    neighbours = tuned.fit(SPACES["cosine"], COSINE, Weighting(), BUDGET)
    assert again.scores.tolist() == tuned.score(neighbours, formula, BUDGET).tolist()
    assert again.scores.mean() > 0.1
    part_again = again.find_part("cosine", COSINE, Weighting())
    assert part_again is not None
    assert [fold.indices.tolist() for fold in part_again] == [fold.indices.tolist() for fold in neighbours]
    assert again.find_part("cosine", COSINE, Weighting(30.0)) is None
    assert again.find_part("cosine", {"min_co_occurrence": 3}, Weighting()) is None
    assert again.find_part("tfidf", COSINE, Weighting()) is None


def test_a_mixture_fitted_again_is_what_is_published() -> None:
    history = data.shop()
    tuned = objective()
    parts = [part("cosine", COSINE, Weighting(30.0), 2), part("popularity", {}, Weighting(), 1)]
    again = refit(tuned, version("mixture", {"parts": parts}), SPACES, BUDGET)
    assert [part[0] for part in again.parts] == ["cosine", "popularity"]
    for fold, neighbours in zip(tuned.folds, again.neighbours, strict=True):
        expected = fit(fold.split.train, fold.split.now, "mixture", {"parts": parts}, Weighting())
        assert (neighbours.indices == expected.indices).all()
        assert np.allclose(neighbours.scores, expected.scores)
    assert len(history.product_ids) == len(again.neighbours[0].indices)


def test_a_repeat_weight_in_similarity_is_converted_for_the_model_fitted_again() -> None:
    tuned = objective()
    again = refit(tuned, version("cosine", COSINE, Formula(repeat_weight=0.2)), SPACES, BUDGET)
    assert again.formula.repeat_weight == pytest.approx(0.2 / again.neighbours[0].mean_score)
    # a version chosen for other answers excludes what these answers must exclude
    assert version("cosine", COSINE, Formula(exclusion_policy="nothing")).formula.exclusion_policy == "nothing"
    assert (
        refit(
            tuned, version("cosine", COSINE, Formula(exclusion_policy="nothing")), SPACES, BUDGET
        ).formula.exclusion_policy
        == "bought"
    )


def test_a_model_that_cannot_be_fitted_again_is_unsuitable() -> None:
    def refusing(_user_items: Any, _k: int, **parameters: Any) -> Neighbours:
        raise TypeError(f"unexpected {parameters}")

    spaces = {"cosine": Space(Algorithm(refusing), SPACES["cosine"].values)}
    with pytest.raises(Unsuitable, match="cosine cannot be fitted with the parameters of version 5"):
        refit(objective(), version("cosine", COSINE), spaces, BUDGET)
    with pytest.raises(Unsuitable, match="cosine cannot be fitted"):
        refit(objective(), replace(version("cosine", COSINE), parameters={"no_such": 1}), SPACES, BUDGET)


# the stored neighbours

UNTIL = data.START + np.timedelta64(60 * 24, "h")
FORMULA = Formula(blend=1.0, weight_power=0.5)
MODEL = PublishedModel("cosine", COSINE, Weighting(), FORMULA)


def advantage(*, lost: float = 0.0, until: np.datetime64 = UNTIL, stored: Neighbours | None = None) -> str | None:
    """Return why neighbours learned from the whole history stay, when a share of it has been lost since."""
    history = data.shop()
    before = select_events(history, history.times <= UNTIL)
    learned = stored or fit(before, UNTIL, "cosine", COSINE, Weighting())
    is_lost = (np.arange(len(history)) % 100 < 100 * lost) & (history.times <= until)
    return find_stored_advantage(
        select_events(history, ~is_lost),
        CATALOG,
        MODEL,
        version("cosine", COSINE, FORMULA),
        learned,
        until,
        repeats="include",
        length_shares=None,
        spaces=SPACES,
    )


def test_stored_neighbours_stay_where_the_history_that_taught_them_is_lost() -> None:
    reason = advantage(lost=0.97)
    assert reason is not None
    assert reason.startswith(
        "the stored neighbours of version 5 are better than any learned from today's history: NDCG@20 0."
    )
    assert reason.endswith("users since they were published")


def test_they_give_way_where_the_history_is_as_good_as_it_was() -> None:
    assert advantage() is None
    assert advantage(lost=0.1) is None


def test_they_give_way_where_nothing_has_happened_since() -> None:
    assert advantage(lost=0.97, until=data.shop().times.max()) is None
    # one event before the newest: fewer users than can be compared
    assert advantage(lost=0.97, until=np.sort(data.shop().times)[-STORED_USERS_MIN]) is None


def test_they_give_way_where_they_are_ahead_by_less_than_three_standard_errors() -> None:
    # ahead by one
    assert advantage(lost=0.7) is None
    assert advantage(lost=0.8) is not None


def test_they_may_show_products_of_which_the_history_no_longer_knows_anything() -> None:
    history = data.shop()
    before = history.times <= UNTIL
    # every event with half of the products is lost, and the others stay
    is_lost = before & (history.items % 4 < 2)
    reason = find_stored_advantage(
        select_events(history, ~is_lost),
        CATALOG,
        MODEL,
        version("cosine", COSINE, FORMULA),
        fit(select_events(history, before), UNTIL, "cosine", COSINE, Weighting()),
        UNTIL,
        repeats="include",
        length_shares=None,
        spaces=SPACES,
    )
    assert reason is not None


def test_they_are_served_with_the_formula_of_their_own_version() -> None:
    # the model to be published looks at one event only
    history, short = data.shop(), FORMULA.with_(profile_events=1)
    stored = fit(select_events(history, history.times <= UNTIL), UNTIL, "cosine", COSINE, Weighting())
    options: dict[str, Any] = {"repeats": "include", "length_shares": None, "spaces": SPACES}
    for own, stays in ((FORMULA, True), (short, False)):
        reason = find_stored_advantage(
            history,
            CATALOG,
            replace(MODEL, formula=short),
            version("cosine", COSINE, own),
            stored,
            UNTIL,
            **options,
        )
        assert (reason is not None) == stays


def test_neighbours_of_nothing_give_way() -> None:
    assert advantage(stored=Neighbours.none(60, NEIGHBOURS)) is None


def test_a_history_without_anything_before_is_no_comparison() -> None:
    with pytest.raises(NothingToMeasure):
        split_for_tuning(data.history(users=1, items=1), new_only=False)
    assert advantage(until=data.START) is None


# through the choice of a model


def by_days(*, newest: float, older: float) -> Space:
    """Return a space whose algorithm knows these shares of the products before the newest cut and before the older one.

    It is one of whole histories, which are longer before the newest cut.
    """
    splits, _ = split_for_tuning(data.shop(), new_only=False)
    n_between = (len(splits[0].train) + len(splits[1].train)) / 2

    def fit_neighbours(sequences: Sequences, k: int) -> Neighbours:
        neighbours = transitions_neighbours(sequences, k, window=5)
        known = newest if len(sequences.items) > n_between else older
        is_unknown = np.arange(sequences.n_items) % 10 >= 10 * known
        neighbours.indices[is_unknown], neighbours.scores[is_unknown] = NO_NEIGHBOUR, 0
        neighbours.co_occurrence[is_unknown] = 0
        return neighbours

    return Space(Algorithm(fit_neighbours, is_sequential=True))


def choose(active: str | None, spaces: dict[str, Space], **options: Any) -> Any:
    """Return the choice with no budget to tune or to mix, when the active version has this algorithm."""
    stored = {"serving": Formula(blend=1.0, weight_power=0.5, exclusion_policy="bought").parameters()}
    version = (
        read_version(5, active, stored, {"newest": {"ndcg@20": 0.2, "standard_error": 0.01}}, spaces)
        if active
        else None
    )
    return choose_model(
        options.pop("history", data.shop()),
        CATALOG,
        time_budget_s=0,
        repeats="exclude",
        other_repeats=("include", "only"),
        spaces=spaces,
        active=version,
        **options,
    )


# the first is better on all days together, and worse on the newest
SPACES_OF_TWO = {"past": by_days(newest=0.6, older=1.0), "steady": by_days(newest=0.8, older=0.2)}


def test_the_search_alone_takes_the_best_of_all_days() -> None:
    chosen = choose(None, SPACES_OF_TWO)
    assert chosen.algorithm == "past"
    assert (chosen.comparison, chosen.fall, chosen.metrics()["compared"]) == (None, None, None)


def test_parameters_that_are_better_on_the_newest_days_stay_and_learn_from_today() -> None:
    kept = choose("steady", SPACES_OF_TWO)
    assert kept.algorithm == "steady"
    assert kept.comparison is not None
    assert kept.comparison.keeps_parameters
    assert kept.comparison.gain < 0
    assert kept.reason == f"the parameters of version 5 stay: {kept.comparison.reason}"
    assert (kept.trials[0]["algorithm"], kept.trials[0]["state"]) == ("steady", "kept")
    assert kept.metrics()["compared"]["kept_parameters"] is True
    # its quality on the newest days is what the next run compares with
    assert kept.metrics()["newest"] == kept.comparison.active.as_json()
    # it learns from all of today's history, and its formula answers all kinds of requests
    assert kept.neighbours.counts.sum() > 0
    assert set(kept.other_formulae) == {"include", "only"}
    assert kept.fall is not None
    assert (kept.fall.then, kept.fall.now) == (0.2, kept.comparison.active.mean)
    assert (kept.fall.then_error, kept.fall.now_error) == (0.01, kept.comparison.active.error)


def test_a_choice_that_is_better_on_the_newest_days_is_published() -> None:
    chosen = choose("past", {"past": by_days(newest=0.2, older=0.2), "steady": SPACES_OF_TWO["steady"]})
    assert chosen.algorithm == "steady"
    assert chosen.comparison is not None
    assert not chosen.comparison.keeps_parameters
    assert chosen.comparison.gain > 0
    assert chosen.reason.startswith("best of 2 trials")
    assert "kept" not in {trial["state"] for trial in chosen.trials}
    assert chosen.metrics()["newest"] == chosen.comparison.choice.as_json()


def test_a_version_that_cannot_be_fitted_again_keeps_nothing() -> None:
    def refusing(_sequences: Any, _k: int, **_: Any) -> Neighbours:
        raise Unsuitable("too large by now")

    chosen = choose("past", {"past": Space(Algorithm(refusing)), "steady": SPACES_OF_TWO["steady"]})
    assert (chosen.algorithm, chosen.comparison) == ("steady", None)


@pytest.mark.parametrize(
    ("algorithm", "parameters", "stays"),
    [
        ("tfidf", {"min_co_occurrence": 3, "weighting": {"half_life_days": 30.0}}, True),
        # the default of small shops is no choice, so the default of today replaces it
        ("cosine", {"min_co_occurrence": 2, "weighting": {"weight_power": 1.0, "repeated": "sum"}}, False),
    ],
)
def test_a_shop_that_became_too_small_to_choose_keeps_its_parameters(
    algorithm: str, parameters: dict[str, Any], stays: bool
) -> None:
    stored = parameters | {"serving": Formula(blend=0.9, repeat_weight=0.03).parameters()}
    small = select_events(data.shop(), np.arange(4_000) >= 3_100)
    active = read_version(5, algorithm, stored, {}, SPACES)
    chosen = choose_model(
        small, CATALOG, time_budget_s=0, repeats="exclude", other_repeats=("include", "only"), active=active
    )
    assert chosen.algorithm == algorithm
    assert (chosen.score, chosen.newest) == (None, None)
    if not stays:
        assert chosen.reason == "safe default: 900 events, fewer than 1000"
        return
    assert chosen.reason == "the parameters of version 5 stay: 900 events, fewer than 1000"
    assert chosen.weighting == Weighting(30.0)
    assert (chosen.formula.blend, chosen.formula.repeat_weight) == (0.9, pytest.approx(0.03))
    assert chosen.other_formulae["only"].exclusion_policy == "unmet"
    assert chosen.neighbours.counts.any()
    # the next run knows that it was a choice once
    again = read_version(6, chosen.algorithm, chosen.model_parameters(), chosen.metrics(), SPACES)
    assert again is not None
    assert (again.algorithm, again.parameters, again.weighting) == (
        algorithm,
        {"min_co_occurrence": 3},
        Weighting(30.0),
    )
