"""Single moves of a trial: another fit, another start of the formula, another value of one parameter.

Every fit and every scoring is charged to a budget, and none begins once it is used up.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.tuning.budget import Budget
from jobs.tuning.objective import Objective
from jobs.tuning.space import MATRIX_ONLY, POPULARITY_DISCOUNTS, Space, Values
from jobs.tuning.starts import (
    PERSONAL_START,
    formula_values,
    other_starts,
    single_steps,
    starting_formula,
    weighting_values,
)
from jobs.tuning.trial import FinishedTrial, Step, Trial, charged, is_better
from shared.domain.formula import Formula

# An algorithm is not tried if one fit takes a greater share of the budget.
FIT_SHARE_MAX: Final = 0.25
# The share of the budget that tuning the formula may take after a step of the model.
FORMULA_SHARE: Final = 1 / 30


@dataclass(frozen=True)
class Starts:
    """The alternatives to a trial: what it would be from each start of the formula, and without tuning.

    rivals : the trial from each start.
    untuned : the trial from the personal start, before tuning; None if the budget did not reach it.
    """

    rivals: list[Trial]
    untuned: Trial | None


def fit_trial(
    objective: Objective,
    algorithm: str,
    space: Space,
    parameters: dict[str, Any],
    weighting: Weighting,
    formula: Formula,
    budget: Budget,
) -> Trial:
    """Return the trial of a first fit. Raises Unsuitable if the algorithm does not suit the shop."""
    before = budget.spent
    neighbours = objective.fit(space, parameters, weighting, budget)
    scores = objective.score(neighbours, formula, budget)
    trial = Trial(algorithm, parameters, weighting, formula, scores, neighbours)
    meet_bound(objective, trial, budget)
    trial.cost = budget.spent - before
    return trial


def meet_bound(objective: Objective, trial: Trial, budget: Budget) -> None:
    """Tune the popularity discount in place if lists after the first views are too much like a stranger's.

    Models are compared as they would be served: the neighbours of a good model may need a greater discount than those
    of the model whose formula it starts with.
    """
    if objective.find_factor(trial.neighbours, trial.formula, budget) < 1.0:
        tune_formula(objective, trial, {"popularity_discount": POPULARITY_DISCOUNTS}, budget)


def predict_step(objective: Objective, space: Space, trial: Trial) -> float:
    """Return the predicted seconds of fitting a trial once more and scoring it."""
    return objective.predict_fit(space, trial.parameters, trial.weighting) + objective.predict_score(trial.formula)


def try_other_starts(objective: Objective, space: Space, trial: Trial, budget: Budget) -> Starts:
    """Move the trial to another start of the formula if that is better.

    Each start uses the better of two weightings: training on the number of events, rather than on whether there are
    any, suits profiles that count events as well, and neither gains much without the other.
    """
    fits = [trial]
    starts = (trial.formula, *other_starts(objective, trial.formula))
    # there must be room for a fit and for scoring it from each start
    if trial.weighting.repeated != "sum" and len(starts) * predict_step(objective, space, trial) < budget.left:
        weighting = replace(trial.weighting, repeated="sum", weight_power=0.5 if objective.has_one_weight else 0.0)
        fits.append(
            replace(
                trial,
                weighting=weighting,
                neighbours=objective.fit(space, trial.parameters, weighting, budget),
            )
        )
        trial.fits += 1
    rivals: list[Trial] = []
    untuned: Trial | None = None
    for place, formula in enumerate(starts):
        best: Trial | None = None if place else replace(trial)
        for fit in fits:
            if budget.left <= 0:
                break
            if fit is trial and not place:
                # scored already
                continue
            scores = objective.score(fit.neighbours, formula, budget)
            if best is None or is_better(scores, best.scores):
                best = replace(fit, formula=formula, scores=scores)
        if best is not None:
            rivals.append(best)
        if best is not None and place == PERSONAL_START:
            untuned = replace(best)
    for rival in rivals:
        trial.take_over(rival)
    return Starts([rival for rival in rivals if rival.formula != trial.formula], untuned)


def tune_rivals(objective: Objective, trial: Trial, rivals: Sequence[Trial], values: Values, budget: Budget) -> None:
    """Tune the formula from the starts that did not look best, the better ones first; move the trial if one wins."""
    for rival in sorted(rivals, key=lambda rival: -rival.score):
        if budget.left <= 0:
            return
        tune_formula(objective, rival, values, budget)
        trial.take_over(rival)


def tune_formula(objective: Objective, trial: Trial, values: Values, budget: Budget) -> None:
    """Improve the trial's formula in place, one parameter after another, while the budget lasts."""
    for name, options in values.items():
        _tune_parameter(objective, trial, name, options, budget)


def sweep_formula(objective: Objective, trial: Trial, values: Values, budget: Budget) -> None:
    """Improve the trial's formula in place until no value of any single parameter gains, while the budget lasts.

    ``tune_formula`` stops when values up to two places away are no better, though a farther one may be.
    """
    moved_last: str | None = None
    while True:
        for name, options in values.items():
            if name == moved_last:
                # all other parameters have been tried since it last changed
                return
            best = trial.formula
            for value in options:
                formula = trial.formula.with_(**{name: value})
                if formula == trial.formula or not objective.allows(formula):
                    continue
                if budget.left <= 0:
                    return
                scores = objective.score(trial.neighbours, formula, budget)
                if is_better(scores, trial.scores):
                    trial.formula, trial.scores = formula, scores
            if trial.formula != best:
                moved_last = name
        if moved_last is None:
            return


def tune_for(objective: Objective, best: FinishedTrial, budget: Budget) -> Formula:
    """Return the best formula for a trial's model under another objective.

    The search starts from the trial's formula and from the objective's own start, the better one first.
    """
    assert best.neighbours is not None
    values = formula_values(objective)
    start = starting_formula(objective)
    adapted = best.formula.with_(
        exclusion_policy=start.exclusion_policy,
        repeat_weight=start.repeat_weight,
        popularity_discount=start.popularity_discount,
        short_profile_fit=start.short_profile_fit,
        lasting_discount=start.lasting_discount,
    )
    trials = [
        Trial(
            best.algorithm,
            best.parameters,
            best.weighting,
            formula,
            objective.score(best.neighbours, formula, budget),
            best.neighbours,
        )
        for formula in (adapted, start)
    ]
    trials.sort(key=lambda trial: -trial.score)
    tune_formula(objective, trials[0], values, budget)
    tune_rivals(objective, trials[0], trials[1:], values, budget)
    return trials[0].formula


def _tune_parameter(objective: Objective, trial: Trial, name: str, options: Sequence[Any], budget: Budget) -> None:
    tried = {getattr(trial.formula, name)}
    has_moved = True
    while has_moved:
        has_moved = False
        for _, value in single_steps({name: options}, asdict(trial.formula)):
            if value in tried:
                continue
            if budget.left <= 0:
                return
            tried.add(value)
            formula = trial.formula.with_(**{name: value})
            if not objective.allows(formula):
                continue
            scores = objective.score(trial.neighbours, formula, budget)
            if is_better(scores, trial.scores):
                trial.formula, trial.scores = formula, scores
                has_moved = True
                break


def step_weighting(objective: Objective, space: Space, trial: Trial, budget: Budget) -> bool:
    """Take one step of the weighting, and return whether there may be more."""
    return _take_step(objective, space, trial, {}, budget, with_formula=False)


def step_model(objective: Objective, space: Space, trial: Trial, budget: Budget) -> bool:
    """Take one step of the model or its weighting, and tune the formula after a gain.

    Return whether there may be more steps.
    """
    return _take_step(objective, space, trial, space.values, budget, with_formula=True)


def fresh_first(trial: Trial, *spaces: Values) -> list[Step]:
    """Return the steps from the trial's current values; those that failed when its version was chosen come last."""
    parameters, weighting = spaces
    steps = [*single_steps(parameters, trial.parameters), *single_steps(weighting, asdict(trial.weighting))]
    return sorted(steps, key=lambda step: step in trial.deferred_steps)


def has_fresh_steps(objective: Objective, space: Space, trial: Trial) -> bool:
    """Return whether the trial has a step that failed neither in this search nor when its version was chosen."""
    known = trial.failed_steps | trial.deferred_steps
    return any(step not in known for step in fresh_first(trial, space.values, _weighting_values(objective, space)))


def _weighting_values(objective: Objective, space: Space) -> Values:
    """Return the weighting's parameters that matter to an algorithm, with the values to try."""
    values = weighting_values(objective)
    if space.algorithm.is_sequential:
        values = {name: options for name, options in values.items() if name not in MATRIX_ONLY}
    return values


def _take_step(
    objective: Objective, space: Space, trial: Trial, model_values: Values, budget: Budget, *, with_formula: bool
) -> bool:
    values = _weighting_values(objective, space)
    for name, value in fresh_first(trial, model_values, values):
        parameters, fields = dict(trial.parameters), asdict(trial.weighting)
        (fields if name in values else parameters)[name] = value
        key = (*sorted(parameters.items()), *fields.values())
        trial.failed_steps |= {(name, value)}
        if key in trial.tried:
            continue
        trial.tried.add(key)
        weighting = Weighting(**fields)
        # there are more sessions than users: as rows, they may be too costly where users were not
        if name == "session_gap_minutes" and (
            objective.predict_fit(space, parameters, weighting) > FIT_SHARE_MAX * budget.seconds
        ):
            continue
        with charged(trial, budget):
            try:
                rival = fit_trial(objective, trial.algorithm, space, parameters, weighting, trial.formula, budget)
            except Unsuitable:
                continue
            trial.fits += 1
            # moving the trial clears its failed steps, this one included
            if trial.take_over(replace(rival, version=trial.version)) and with_formula:
                tune_formula(objective, trial, formula_values(objective), budget.part(FORMULA_SHARE))
        return True
    return False
