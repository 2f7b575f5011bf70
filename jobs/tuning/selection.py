"""Chooses a shop's model on its own held-out days, and fits the choice on all of its history."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from jobs.data.catalog import Catalog
from jobs.data.history import DAY, History
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.models.pairs import numba_installed
from jobs.offline.split import NothingToMeasure, Split, leave_last_out, split_last_days
from jobs.tuning.budget import Budget, Clock, Watch, abort_after_s, own_time_clock
from jobs.tuning.drift import Fall
from jobs.tuning.fitting import NEIGHBOURS, fit
from jobs.tuning.guard import Comparison, Quality, Refit, compare, is_newest
from jobs.tuning.objective import USERS_MAX, Objective
from jobs.tuning.plan import FOLDS_LIMIT, affordable_events, enough_users, sample_users
from jobs.tuning.search import Search
from jobs.tuning.space import SPACES, Space
from jobs.tuning.steps import tune_for
from jobs.tuning.trial import FinishedTrial, Trial, TrialState
from jobs.tuning.warm_start import NEWEST_KEY, ActiveVersion
from shared.domain.formula import PRIOR_EVIDENCE, SERVING_KEY, SERVING_KEYS, Formula, Repeats

# With fewer events or held-out users than these, differences between models are noise.
SMALL_SHOP_EVENTS: Final = 1_000
SMALL_SHOP_USERS: Final = 25
# Held-out users that suffice to compare models; the shortest horizon with as many is used.
ENOUGH_USERS: Final = 500
HOLDOUT_DAYS: Final = (7.0, 14.0, 30.0, 60.0)
# The history is at least so many times as long as the held-out days.
HOLDOUTS_IN_HISTORY: Final = 3
# One month is not like the next, so the history is also cut earlier: twice where it is long enough, and more often
# until the folds have USERS_IN_ALL held-out users.
FOLDS_MIN: Final = 2
FOLDS_MAX: Final = 4
USERS_IN_ALL: Final = 1_500
# The share of the history that lies before the earliest cut, of the second fold and of further ones.
SECOND_FOLD_TRAIN_MIN: Final = 0.33
FURTHER_FOLD_TRAIN_MIN: Final = 0.5
# Budgets, in seconds, of which compiling takes a small part (2 to 3 s).
COMPILED_FROM_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Choice:
    """The model to publish, fitted on the whole history, and how all trials did.

    Attributes
    ----------
    formula : with the repeat weight in units of similarity.
    score : the model's mean NDCG@20 on the held-out days; None for a small shop's default.
    reason : why this model was chosen.
    trials : ``FinishedTrial.summary`` of every trial, best first.
    is_aborted : whether a clock ended tuning, which then depends on the machine: see jobs/tuning/budget.py.
    other_formulae : of answers with other repeats than those that the model was chosen for.
    newest : the model's quality on the newest held-out days alone; None for a small shop's default.
    comparison : with the active version's parameters; None if there is no active version, or none to compare with.
    fall : of the quality of the active version's parameters since it was chosen; None if unknown.
    """

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    neighbours: Neighbours
    score: float | None
    reason: str
    holdout_days: float | None
    trials: list[dict[str, Any]]
    other_formulae: Mapping[Repeats, Formula] = field(default_factory=dict)
    is_aborted: bool = False
    newest: Quality | None = None
    comparison: Comparison | None = None
    fall: Fall | None = None

    def model_parameters(self) -> dict[str, Any]:
        """Return the ``parameters`` of a model version."""
        return {
            "k": NEIGHBOURS,
            **self.parameters,
            "weighting": asdict(self.weighting),
            SERVING_KEY: self.formula.parameters(),
            **{SERVING_KEYS[repeats]: formula.parameters() for repeats, formula in self.other_formulae.items()},
        }

    def metrics(self) -> dict[str, Any]:
        """Return the ``metrics`` of a model version."""
        return {
            "ndcg@20": None if self.score is None else round(self.score, 5),
            NEWEST_KEY: None if self.newest is None else self.newest.as_json(),
            "holdout_days": self.holdout_days,
            "compared": None if self.comparison is None else self.comparison.as_json(),
            "why": self.reason,
            "aborted": self.is_aborted,
            "candidates": self.trials,
        }


# The model of a shop too small to choose on: cosine with a good share of the trend; repeat weight in similarity.
DEFAULT_TRIAL: Final = FinishedTrial(
    "cosine",
    {"min_co_occurrence": 2},
    Weighting(None, 1.0, "sum"),
    Formula(trending_prior=0.3, trending_window="30d", repeat_weight=0.1, prior_evidence=PRIOR_EVIDENCE),
    TrialState.UNTUNED,
)
# The share of the budget for the formula of each kind of answers that the model was not chosen for.
OTHER_FORMULA_SHARE: Final = 0.1


def fit_default(
    history: History,
    catalog: Catalog,
    reason: str,
    *,
    new_only: bool = False,
    other_repeats: Sequence[Repeats] = (),
    now: np.datetime64 | None = None,
) -> Choice:
    """Return the choice for a shop too small to choose on, with the reason."""
    formula = DEFAULT_TRIAL.formula.with_(
        blend=Formula.blend if (catalog.categories >= 0).any() else 1.0,
        exclusion_policy="seen" if new_only else "bought",
    )
    algorithm, parameters, weighting = DEFAULT_TRIAL.algorithm, DEFAULT_TRIAL.parameters, DEFAULT_TRIAL.weighting
    neighbours = fit(history, now or history.times.max(), algorithm, parameters, weighting)
    others: dict[Repeats, Formula] = {repeats: formula.for_repeats(repeats) for repeats in other_repeats}
    return Choice(algorithm, parameters, weighting, formula, neighbours, None, reason, None, [], others)


def split_for_tuning(
    history: History,
    *,
    new_only: bool,
    holdout_days: float | None = None,
    leave_last: bool = False,
    users_wanted: int = USERS_IN_ALL,
) -> tuple[list[Split], float | None]:
    """Return the splits to tune on, and their horizon in days (None with ``leave_last``).

    The first split holds out the last days: ``holdout_days`` if given, otherwise the fewest of HOLDOUT_DAYS that have
    ENOUGH_USERS; never more than a third of the history. Earlier cuts with the same horizon follow while enough of the
    history lies before them. ``leave_last`` holds out each user's last relevant event instead, and in a second split
    the one before it. With more ``users_wanted`` than USERS_IN_ALL there may be up to FOLDS_LIMIT cuts. Raises
    NothingToMeasure.
    """
    if len(history) == 0:
        raise NothingToMeasure("no events")
    if leave_last:
        return _leave_last_splits(history, new_only=new_only), None
    span = float((history.times.max() - history.times.min()) / DAY)
    days_max = max(span / HOLDOUTS_IN_HISTORY, 1e-6)
    first: Split | None = None
    days, error = days_max, NothingToMeasure("no events")
    for horizon in (holdout_days,) if holdout_days else HOLDOUT_DAYS:
        try:
            first = split_last_days(history, min(horizon, days_max), new_only=new_only)
        except NothingToMeasure as problem:
            error = problem
            continue
        days = min(horizon, days_max)
        if len(first.users) >= ENOUGH_USERS or horizon >= days_max:
            break
    if first is None:
        raise error
    splits = [first]
    while len(splits) < (FOLDS_MAX if users_wanted <= USERS_IN_ALL else FOLDS_LIMIT):
        if len(splits) >= FOLDS_MIN and sum(len(split.users) for split in splits) >= users_wanted:
            break
        days_before = span - days * (len(splits) + 1)
        train_min = FURTHER_FOLD_TRAIN_MIN if len(splits) >= FOLDS_MIN else SECOND_FOLD_TRAIN_MIN
        if days_before < train_min * span:
            break
        try:
            splits.append(split_last_days(splits[-1].train, days, new_only=new_only))
        except NothingToMeasure:
            break
    return splits, days


def _leave_last_splits(history: History, *, new_only: bool) -> list[Split]:
    splits = [leave_last_out(history, new_only=new_only)]
    while len(splits) < FOLDS_MIN:
        try:
            splits.append(leave_last_out(splits[-1].train, new_only=new_only))
        except NothingToMeasure:
            break
    return splits


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
    """Tune every algorithm on the history's own last days, and fit the best on all of it.

    Parameters
    ----------
    catalog : in the history's codes.
    time_budget_s : for tuning, in predicted processor seconds; the fit of the best on the whole history comes on top.
    new_only : whether only products that a user has not met are relevant. Otherwise all are, and tuning decides
        whether known products are shown.
    repeats : the answers that the model is chosen for: those to "exclude" with ``new_only``, by default, and otherwise
        those to "include".
    other_repeats : further answers, for each of which the chosen model gets a formula of its own.
    length_shares : how much histories count by their length, see jobs/tuning/short_histories.py; None if all held-out
        users count alike.
    now : from which ages count back; the newest event by default.
    holdout_days, leave_last : see ``split_for_tuning``.
    clock : aborts tuning that takes many times its budget; ``own_time_clock()`` by default. The choice does not depend
        on it otherwise.
    active : the model version that is served. The search starts from its values, and its parameters stay where the
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
        if active is not None and _is_tuned(active):
            # a shop that had enough events for a choice once keeps it when they become fewer
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
        comparison = compare(objective, active.version, trials[0].scores, search.refit.scores)
        if comparison.keeps_parameters:
            trials.insert(0, _keep(search.refit, active.version))
    choice, best = _fit_best(history, trials, spaces, days, now)
    if best.state is TrialState.KEPT and comparison is not None:
        choice = replace(choice, reason=f"the parameters of version {comparison.version} stay: {comparison.reason}")
    newest = is_newest(objective)
    assert best.scores is not None
    quality = Quality.of(best.scores[newest], objective.weights[newest])
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


def _is_tuned(active: ActiveVersion) -> bool:
    """Return whether a version has other parameters than the default of small shops."""
    default = (DEFAULT_TRIAL.algorithm, DEFAULT_TRIAL.parameters, DEFAULT_TRIAL.weighting)
    return (active.algorithm, active.parameters, active.weighting) != default


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
    )


def fit_active(
    history: History,
    active: ActiveVersion,
    reason: str,
    spaces: Mapping[str, Space],
    *,
    other_repeats: Sequence[Repeats] = (),
    now: np.datetime64 | None = None,
) -> Choice:
    """Return the active version's model, fitted on a history too small to choose on, with the reason.

    Raises ValueError or TypeError if it cannot be fitted.
    """
    neighbours = fit(history, now or history.times.max(), active.algorithm, active.parameters, active.weighting, spaces)
    return Choice(
        active.algorithm,
        active.parameters,
        active.weighting,
        active.formula_for(neighbours.mean_score).in_scores_of(neighbours.mean_score),
        neighbours,
        None,
        f"the parameters of version {active.version} stay: {reason}",
        None,
        [],
        {repeats: active.other_formulae[repeats] for repeats in other_repeats},
    )


def compiling_pays(time_budget_s: float) -> bool:
    """Return whether the formula's loops are compiled for a budget like this."""
    return numba_installed() and time_budget_s >= COMPILED_FROM_SECONDS


def _fit_best(
    history: History,
    trials: list[FinishedTrial],
    spaces: Mapping[str, Space],
    days: float | None,
    now: np.datetime64 | None,
) -> tuple[Choice, FinishedTrial]:
    """Fit the best trial on the whole history, or the next best if that does not fit the memory budget.

    Return the choice and the trial.
    """
    summaries = [trial.summary() for trial in trials]
    n_scored = sum(trial.scores is not None for trial in trials)
    for trial, summary in zip(trials, summaries, strict=True):
        if trial.scores is None:
            continue
        try:
            neighbours = fit(
                history, now or history.times.max(), trial.algorithm, trial.parameters, trial.weighting, spaces
            )
        except Unsuitable as error:
            summary |= {"state": TrialState.NOT_PUBLISHED.value, "note": f"not published: {error}"}
            continue
        choice = Choice(
            trial.algorithm,
            trial.parameters,
            trial.weighting,
            trial.formula.in_scores_of(neighbours.mean_score),
            neighbours,
            trial.score,
            f"best of {n_scored} trial{'s' if n_scored != 1 else ''} on {len(trial.scores)} held-out users",
            days,
            summaries,
        )
        return choice, trial
    raise NothingToMeasure("no algorithm could be fitted on the whole history")
