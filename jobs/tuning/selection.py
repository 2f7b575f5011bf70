"""Chooses a shop's model on its own held-out days, and fits the choice on all of its history."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.models.pairs import numba_installed
from jobs.offline.split import NothingToMeasure, Split
from jobs.tuning.budget import Budget, Clock, Watch, abort_after_s, own_time_clock
from jobs.tuning.choice import Choice, fit_active, fit_best, fit_default, is_tuned
from jobs.tuning.guard import Comparison, Quality, Refit, compare, is_newest
from jobs.tuning.objective import USERS_MAX, Objective
from jobs.tuning.plan import affordable_events, enough_users, sample_users
from jobs.tuning.search import Search
from jobs.tuning.space import SPACES, Space
from jobs.tuning.splits import FOLDS_MIN, USERS_IN_ALL, split_for_tuning
from jobs.tuning.steps import tune_for
from jobs.tuning.trial import FinishedTrial, Trial, TrialState
from jobs.tuning.warm_start import ActiveVersion
from shared.domain.formula import Formula, Repeats

# With fewer events or held-out users than these, differences between models are noise.
SMALL_SHOP_EVENTS: Final = 1_000
SMALL_SHOP_USERS: Final = 25
# The least budget, in seconds, for which loops are compiled: compiling (2 to 3 s) takes a small part of it.
COMPILED_FROM_SECONDS: Final = 20.0
# The share of the budget for tuning the formula of each further kind of answer, which the model was not chosen for.
OTHER_FORMULA_SHARE: Final = 0.1


def choose_model(
    history: History,
    catalog: Catalog,
    *,
    time_budget_s: float,
    new_only: bool = False,
    repeats: Repeats | None = None,
    other_repeats: Sequence[Repeats] = (),
    length_shares: tuple[float, ...] | None = None,
    now: np.datetime64 | None = None,
    holdout_days: float | None = None,
    leave_last: bool = False,
    seed: int = 0,
    spaces: Mapping[str, Space] = SPACES,
    report: Callable[[Trial], None] = lambda _: None,
    clock: Clock | None = None,
    active: ActiveVersion | None = None,
) -> Choice:
    """Tune every algorithm on the last days of the history, and fit the best one on all of it.

    Parameters
    ----------
    catalog : in the history's codes.
    time_budget_s : for tuning, in predicted processor seconds; fitting the best on the whole history is not included.
    new_only : whether only products that a user has not met are relevant. Otherwise all are, and tuning decides
        whether known products are shown.
    repeats : the kind of answer that the model is chosen for; by default "exclude" with ``new_only``, and otherwise
        "include".
    other_repeats : further kinds of answers, for each of which the chosen model gets a formula of its own.
    length_shares : the weight of each group of history lengths, see jobs/tuning/short_histories.py; None if all
        held-out users count alike.
    now : the time from which ages count back; the newest event by default.
    holdout_days, leave_last : see ``split_for_tuning``.
    clock : aborts tuning that takes many times its budget; ``own_time_clock()`` by default. Apart from that, the choice
        does not depend on it.
    active : the model version that is served. The search starts from its values, and its parameters are kept if the
        choice is worse.

    Raises NothingToMeasure for a history without events.
    """
    if len(history) == 0:
        raise NothingToMeasure("no events")
    # sums of floating-point numbers depend on the number of threads that add them up
    with threadpool_limits(1, "blas"):
        return _choose(
            history,
            catalog,
            budget=Budget(time_budget_s, Watch(time_budget_s, clock or own_time_clock())),
            new_only=new_only,
            repeats=repeats,
            other_repeats=other_repeats,
            length_shares=length_shares,
            now=now,
            holdout_days=holdout_days,
            leave_last=leave_last,
            seed=seed,
            spaces=spaces,
            report=report,
            active=active,
        )


def _choose(
    history: History,
    catalog: Catalog,
    *,
    budget: Budget,
    new_only: bool,
    repeats: Repeats | None,
    other_repeats: Sequence[Repeats],
    length_shares: tuple[float, ...] | None,
    now: np.datetime64 | None,
    holdout_days: float | None,
    leave_last: bool,
    seed: int,
    spaces: Mapping[str, Space],
    report: Callable[[Trial], None],
    active: ActiveVersion | None,
) -> Choice:
    def default(reason: str) -> Choice:
        if active is not None and is_tuned(active):
            # a shop that once had enough events for a choice keeps that choice when it has fewer
            with contextlib.suppress(TypeError, ValueError):
                return fit_active(history, active, reason, spaces, other_repeats=other_repeats, now=now)
        return fit_default(
            history, catalog, f"safe default: {reason}", new_only=new_only, other_repeats=other_repeats, now=now
        )

    if len(history) < SMALL_SHOP_EVENTS:
        return default(f"{len(history)} events, fewer than {SMALL_SHOP_EVENTS}")
    sample = sample_users(history, affordable_events(history, spaces, budget.seconds, FOLDS_MIN), seed)

    def split(users_wanted: int) -> tuple[list[Split], float | None]:
        return split_for_tuning(
            sample, new_only=new_only, holdout_days=holdout_days, leave_last=leave_last, users_wanted=users_wanted
        )

    def objective_of(repeats: Repeats | None, users_max: int) -> Objective:
        return Objective(
            splits,
            catalog,
            repeats=repeats,
            length_shares=length_shares,
            seed=seed,
            users_max=users_max,
            compiled=compiling_pays(budget.seconds),
        )

    try:
        splits, days = split(USERS_IN_ALL)
        n_held_out = sum(len(split.users) for split in splits)
        if n_held_out < SMALL_SHOP_USERS:
            return default(f"{n_held_out} held-out users, fewer than {SMALL_SHOP_USERS}")
        objective = objective_of(repeats, USERS_MAX)
    except NothingToMeasure as error:
        return default(str(error))
    users_max = enough_users(objective, spaces, budget)
    if users_max > USERS_MAX:
        splits, days = split(users_max)
        objective = objective_of(repeats, users_max)
    search = Search(objective, spaces, budget.all_but(OTHER_FORMULA_SHARE * len(other_repeats)), report, active)
    trials = search.run()
    comparison: Comparison | None = None
    if active is not None and search.refit is not None and trials[0].scores is not None:
        comparison = compare(
            objective,
            active.version,
            trials[0].scores,
            search.refit.scores,
            choice_factor=trials[0].factor,
            active_factor=search.refit.factor,
        )
        if comparison.keeps_parameters:
            trials.insert(0, _keep(search.refit, active.version))
    choice, best = fit_best(history, trials, spaces, days, now)
    if best.state is TrialState.KEPT and comparison is not None:
        choice = replace(choice, reason=f"the parameters of version {comparison.version} stay: {comparison.reason}")
    newest = is_newest(objective)
    assert best.user_quality is not None
    quality = Quality.of(best.user_quality[newest], objective.weights[newest])
    choice = replace(choice, newest=quality, comparison=comparison, fall=search.fall)
    formulae: dict[Repeats, Formula] = {}
    for other in other_repeats:
        try:
            other_objective = objective_of(other, users_max)
        except NothingToMeasure:
            formula = best.formula.for_repeats(other)
        else:
            formula = tune_for(other_objective, best, budget.part(OTHER_FORMULA_SHARE))
        formulae[other] = formula.in_scores_of(choice.neighbours.mean_score)
    reason = choice.reason
    if len(sample) < len(history):
        reason += f", tuned on a sample of {len(sample):,} of {len(history):,} events"
    if budget.is_aborted:
        reason = f"ABORTED after {abort_after_s(budget.seconds):g} s with a budget of {budget.seconds:g} s: {reason}"
    return replace(choice, reason=reason, other_formulae=formulae, is_aborted=budget.is_aborted)


def _keep(again: Refit, version: int) -> FinishedTrial:
    """Return the active version's model, fitted again, as a trial that can be published."""
    return FinishedTrial(
        again.algorithm,
        again.parameters,
        again.weighting,
        again.formula,
        TrialState.KEPT,
        f"the parameters of version {version}",
        scores=again.scores,
        neighbours=again.neighbours,
        fits=1,
        version=version,
        factor=again.factor,
    )


def compiling_pays(time_budget_s: float) -> bool:
    """Return whether this budget is large enough for compiling the formula's loops to pay off."""
    return numba_installed() and time_budget_s >= COMPILED_FROM_SECONDS
