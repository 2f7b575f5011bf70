"""Tunes algorithms and the serving formula within a time budget, one step at a time along each parameter's values.

Each algorithm is fitted once at its start. Those within reach of the best then share the time: a step of the model, and
the formula again whenever the model has improved. In the end the best models are mixed.
docs/decisions/0016-model-choice.md gives the reasons.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.tuning.ensemble import mix_trials
from jobs.tuning.objective import Objective
from jobs.tuning.space import FORMULA, MATRIX_ONLY, PRIOR_EVIDENCES, WEIGHTING, Space, Values
from jobs.tuning.trial import Clock, Deadline, Trial, is_better, standard_error, timed
from shared.domain.formula import PRIOR_EVIDENCE, PROFILE_EVENTS_MAX, Formula

# Trials with less than this share of the best score are not tuned further.
GIVEN_UP_BELOW: Final = 0.85
# An algorithm is not tried if one fit takes a greater share of the budget.
FIT_SHARE_MAX: Final = 0.25
# The share of the budget that an algorithm may take before the others had their turn.
FIRST_SHARE: Final = 1 / 16
# The share of the budget that tuning the formula may take after a step of the model.
FORMULA_SHARE: Final = 1 / 30
# A fit that takes less than this share of the budget is quick: its algorithm tunes the weighting for the slower ones.
QUICK_FIT_SHARE: Final = 1 / 100
# The share of the budget that is left for mixing.
MIXING_SHARE: Final = 0.15
# A model with less than this share in the score (``blend``) has little effect: other starts are tuned before it.
SMALL_BLEND: Final = 0.5
# A tuned result must be ahead of an untuned one by this many standard errors of the gain: the rule of one standard
# error (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984).
TUNED_GAIN_MIN: Final = 1.0
# The place of the personal formula among the starts.
PERSONAL_START: Final = 1


def starting_formula(objective: Objective) -> Formula:
    """Return the formula that the search starts from; what answers are for decides what is excluded."""
    shows_known = objective.repeats != "exclude"
    return Formula(
        weight_power=0.5,
        blend=0.8 if objective.has_taste() else 1.0,
        trending_prior=0.03,
        trending_window="30d",
        repeat_weight=3.0 if shows_known else 0.0,
        exclusion_policy=objective.policies[0],
        prior_evidence=PRIOR_EVIDENCE if objective.weighs_lengths else None,
    )


def other_starts(objective: Objective, formula: Formula) -> list[Formula]:
    """Return formulae that single steps from ``formula`` would not reach.

    The first, the personal one, lets long profiles decide alone and counts repeated events; in the second, popularity
    decides as much as it may; in the third, what the user did last.
    """
    personal = formula.with_(
        profile_events=PROFILE_EVENTS_MAX,
        frequency_power=1.0,
        blend=1.0,
        trending_prior=0.0,
        half_life_days=None,
        rank_decay=1.0,
        weight_power=formula.weight_power if objective.has_one_weight else 0.0,
        repeat_weight=0.0 if objective.repeats == "exclude" else 1.0,
    )
    latest = personal.with_(
        profile_events=20,
        frequency_power=0.0,
        trending_prior=formula.trending_prior,
        rank_decay=0.5,
        weight_power=formula.weight_power,
        repeat_weight=formula.repeat_weight,
    )
    popular = formula.with_(trending_prior=3.0, trending_window="all")
    if not objective.allows(popular):
        popular = formula.with_(trending_prior=1.0, trending_window="all", prior_evidence=min(PRIOR_EVIDENCES))
    return [personal, popular, latest]


def formula_values(objective: Objective) -> Values:
    """Return the formula's parameters that can matter on these splits, with the values to try."""
    values = {"exclusion_policy": objective.policies, **FORMULA}
    fixed: set[str] = set()
    if objective.new_only:
        fixed |= {"repeat_weight"}
    if not objective.has_taste():
        fixed |= {"blend", "affinity_trend"}
    if objective.has_one_weight:
        fixed |= {"weight_power"}
    if objective.weighs_lengths:
        values["prior_evidence"] = PRIOR_EVIDENCES
    return {name: options for name, options in values.items() if name not in fixed}


def weighting_values(objective: Objective) -> Values:
    """Return the weighting's parameters that can matter on these splits, with the values to try."""
    return {
        name: values for name, values in WEIGHTING.items() if not (objective.has_one_weight and name == "weight_power")
    }


def single_steps(values: Values, current: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield changes of one parameter: to values up to two places away, or to any other if the values are words."""
    for name, options in values.items():
        if any(isinstance(option, str) for option in options):
            yield from ((name, option) for option in options if option != current[name])
            continue
        at = options.index(current[name]) if current[name] in options else 0
        # far steps first: the neighbours of the best value are tried in the end
        for place in (at + 2, at - 2, at + 1, at - 1):
            if 0 <= place < len(options):
                yield name, options[place]


def try_other_starts(
    objective: Objective, space: Space, trial: Trial, deadline: Deadline
) -> tuple[list[Trial], Trial | None]:
    """Move the trial to another start if that is better.

    Return the trial as it would be from each of the other starts, and as it is, untuned, from the personal start; the
    latter is None if there was no time for it.

    Each start takes the better of two weightings: training on the number of events, rather than on whether there are
    any, suits profiles that count events too, and neither gains much without the other.
    """
    fits = [trial]
    # a fit, and about as long again to score it from each start
    if trial.weighting.repeated != "sum" and 4 * trial.fit_seconds < deadline.left:
        weighting = replace(trial.weighting, repeated="sum", weight_power=0.5 if objective.has_one_weight else 0.0)
        neighbours = objective.fit(space, trial.parameters, weighting)
        fits.append(replace(trial, weighting=weighting, neighbours=neighbours))
        trial.fits += 1
    rivals: list[Trial] = []
    untuned: Trial | None = None
    for place, formula in enumerate((trial.formula, *other_starts(objective, trial.formula))):
        best: Trial | None = None if place else replace(trial)
        for fit in fits:
            assert fit.neighbours is not None
            if deadline.left <= 0:
                break
            if fit is trial and not place:
                # scored already
                continue
            scores = objective.score(fit.neighbours, formula)
            if best is None or is_better(scores, best.scores):
                best = replace(fit, formula=formula, scores=scores)
        if best is not None:
            rivals.append(best)
        if best is not None and place == PERSONAL_START:
            untuned = replace(best)
    for rival in rivals:
        take_over(trial, rival)
    return [rival for rival in rivals if rival.formula != trial.formula], untuned


def take_over(trial: Trial, rival: Trial) -> None:
    """Move the trial to where the rival is, if that is better."""
    assert rival.scores is not None
    if is_better(rival.scores, trial.scores):
        trial.formula, trial.weighting = rival.formula, rival.weighting
        trial.scores, trial.neighbours = rival.scores, rival.neighbours


def tune_rivals(
    objective: Objective, trial: Trial, rivals: Sequence[Trial], values: Values, deadline: Deadline
) -> None:
    """Tune the formula from the starts that did not look best, the better ones first, and take over what is better."""
    for rival in sorted(rivals, key=lambda rival: -rival.score):
        if deadline.left <= 0:
            return
        tune_formula(objective, rival, values, deadline)
        take_over(trial, rival)


def tune_formula(objective: Objective, trial: Trial, values: Values, deadline: Deadline) -> None:
    """Improve the trial's formula in place, one parameter after the other, while time is left."""
    for name, options in values.items():
        _tune_parameter(objective, trial, name, options, deadline)


def tune_for(objective: Objective, best: Trial, deadline: Deadline) -> Formula:
    """Return the best formula with which the model of a trial answers what another objective is about.

    The search starts from the trial's formula and from the objective's own start, the better one first.
    """
    assert best.neighbours is not None
    values = formula_values(objective)
    start = starting_formula(objective)
    adapted = best.formula.with_(exclusion_policy=start.exclusion_policy, repeat_weight=start.repeat_weight)
    trials = [replace(best, formula=formula, scores=None) for formula in (adapted, start)]
    for trial in trials:
        trial.scores = objective.score(best.neighbours, trial.formula)
    trials.sort(key=lambda trial: -trial.score)
    tune_formula(objective, trials[0], values, deadline)
    tune_rivals(objective, trials[0], trials[1:], values, deadline)
    return trials[0].formula


def _tune_parameter(objective: Objective, trial: Trial, name: str, options: Sequence[Any], deadline: Deadline) -> None:
    assert trial.neighbours is not None
    tried = {getattr(trial.formula, name)}
    has_moved = True
    while has_moved:
        has_moved = False
        for _, value in single_steps({name: options}, asdict(trial.formula)):
            if value in tried:
                continue
            if deadline.left <= 0:
                return
            tried.add(value)
            formula = trial.formula.with_(**{name: value})
            if not objective.allows(formula):
                continue
            scores = objective.score(trial.neighbours, formula)
            if is_better(scores, trial.scores):
                trial.formula, trial.scores = formula, scores
                has_moved = True
                break


def try_fit(
    objective: Objective,
    space: Space,
    trial: Trial,
    parameters: dict[str, Any],
    weighting: Weighting,
    clock: Clock,
) -> bool:
    """Fit and score, move the trial there if that is better, and return whether it is. Raises Unsuitable."""
    started = clock()
    neighbours = objective.fit(space, parameters, weighting)
    scores = objective.score(neighbours, trial.formula)
    trial.fits += 1
    trial.fit_seconds = clock() - started
    trial.seconds += trial.fit_seconds
    if not is_better(scores, trial.scores):
        return False
    trial.parameters, trial.weighting, trial.scores, trial.neighbours = parameters, weighting, scores, neighbours
    return True


def tune(
    objective: Objective,
    spaces: Mapping[str, Space],
    deadline: Deadline,
    report: Callable[[Trial], None] = lambda _: None,
) -> list[Trial]:
    """Tune every algorithm within the budget and return the trials, best first; the first algorithm always runs.

    A step that would take longer than the time left is not begun. ``report`` is called whenever a trial has changed.
    """
    weighting_space, formula_space = weighting_values(objective), formula_values(objective)
    formula, weighting = starting_formula(objective), Weighting()
    trials: list[Trial] = []
    untuned: list[Trial] = []
    for name, space in spaces.items():
        first_weighting = replace(weighting, session_gap_minutes=None) if space.starts_by_user else weighting
        trial = Trial(name, dict(space.start), first_weighting, formula)
        trials.append(trial)
        if deadline.left <= 0 and any(other.scores is not None for other in trials):
            trial.note = "not tried: the time budget was used up"
            continue
        if (
            trials[0].scores is not None
            and objective.estimate_seconds(space, trial.weighting) > FIT_SHARE_MAX * deadline.seconds
        ):
            trial.note = f"not tried: a fit would take more than {FIT_SHARE_MAX:.0%} of the time budget"
            continue
        try:
            try_fit(objective, space, trial, trial.parameters, trial.weighting, deadline.clock)
        except Unsuitable as error:
            trial.note = f"not tried: {error}"
            continue
        share = deadline.part(FIRST_SHARE)
        with timed(trial, deadline.clock):
            rivals, untuned_trial = try_other_starts(objective, space, trial, share)
            untuned += [untuned_trial] if untuned_trial else []
            tune_formula(objective, trial, formula_space, share)
            # no step of the model would gain while it has little effect
            if trial.formula.blend < SMALL_BLEND:
                tune_rivals(objective, trial, rivals, formula_space, share)
        if trial.fit_seconds < deadline.seconds * QUICK_FIT_SHARE:
            # the weighting matters alike to all: slow algorithms start from what a quick one has learnt
            while share.left > 0 and _take_step(objective, space, trial, weighting_space, {}, share):
                pass
        with timed(trial, deadline.clock):
            tune_rivals(objective, trial, rivals, formula_space, share)
        report(trial)
        best = max(trials, key=lambda trial: trial.score)
        formula, weighting = best.formula, best.weighting
    running = [trial for trial in trials if trial.scores is not None]
    until_mixing = Deadline(deadline.left - deadline.seconds * MIXING_SHARE, deadline.clock)
    _share_time(objective, spaces, running, weighting_space, formula_space, until_mixing, report)
    trials.sort(key=lambda trial: -trial.score)

    def tune_mixture(trial: Trial, end: Deadline) -> None:
        tune_formula(objective, trial, formula_space, end)

    mixture = mix_trials(objective, trials, deadline, tune_mixture)
    if mixture is not None:
        trials.insert(0, mixture)
        report(mixture)
    prefer_untuned(trials, untuned)
    return trials


def prefer_untuned(trials: list[Trial], untuned: Sequence[Trial]) -> None:
    """Put the best untuned trial first if tuning gained no more than noise would.

    The best of hundreds of trials is ahead on the days it was chosen on, whatever it is worth on others.
    """
    if not untuned or trials[0].scores is None:
        return
    best = max(untuned, key=lambda trial: trial.score)
    assert best.scores is not None
    gain = trials[0].scores - best.scores
    if float(gain.mean()) > TUNED_GAIN_MIN * standard_error(gain):
        return
    trial = next(trial for trial in trials if trial.algorithm == best.algorithm)
    trial.parameters, trial.weighting, trial.formula = best.parameters, best.weighting, best.formula
    trial.scores, trial.neighbours = best.scores, best.neighbours
    trial.note = "untuned: tuning gained no more than noise would"
    trials.remove(trial)
    trials.insert(0, trial)


def _share_time(
    objective: Objective,
    spaces: Mapping[str, Space],
    running: list[Trial],
    weighting_space: Values,
    formula_space: Values,
    deadline: Deadline,
    report: Callable[[Trial], None],
) -> None:
    """Let the trials take steps in turn until none gains or the time is used up."""
    pending = list(running)
    while pending and deadline.left > 0:
        best = max(trial.score for trial in running)
        for trial in [trial for trial in pending if trial.score < GIVEN_UP_BELOW * best]:
            trial.note = "given up: too far behind"
            pending.remove(trial)
        for trial in [trial for trial in pending if trial.fit_seconds > deadline.left]:
            trial.note = "stopped: no time for another fit"
            pending.remove(trial)
        if not pending:
            return
        # time is shared, not turns; a trial a tenth behind the best gets a third of its time
        trial = min(pending, key=lambda trial: trial.seconds * (best / max(trial.score, 1e-9)) ** 10)
        if not _take_step(objective, spaces[trial.algorithm], trial, weighting_space, formula_space, deadline):
            trial.note = "done: no step gains"
            pending.remove(trial)
        report(trial)


def _take_step(
    objective: Objective,
    space: Space,
    trial: Trial,
    weighting_space: Values,
    formula_space: Values,
    deadline: Deadline,
) -> bool:
    """Take one step of the model or its weighting, and return whether there may be more.

    Without a ``formula_space`` only the weighting is varied.
    """
    model_space = space.values if formula_space else {}
    if space.algorithm.is_sequential:
        weighting_space = {name: values for name, values in weighting_space.items() if name not in MATRIX_ONLY}
    for name, value in (
        *single_steps(model_space, trial.parameters),
        *single_steps(weighting_space, asdict(trial.weighting)),
    ):
        parameters, weighting = dict(trial.parameters), asdict(trial.weighting)
        (weighting if name in weighting_space else parameters)[name] = value
        key = (*sorted(parameters.items()), *weighting.values())
        if key in trial.tried:
            continue
        trial.tried.add(key)
        # sessions are more rows than users: they may be too many where users were not
        if name == "session_gap_minutes" and (
            objective.estimate_seconds(space, Weighting(**weighting)) > FIT_SHARE_MAX * deadline.seconds
        ):
            continue
        try:
            is_gain = try_fit(objective, space, trial, parameters, Weighting(**weighting), deadline.clock)
        except Unsuitable:
            continue
        if is_gain and formula_space:
            with timed(trial, deadline.clock):
                tune_formula(objective, trial, formula_space, deadline.part(FORMULA_SHARE))
        return True
    return False
