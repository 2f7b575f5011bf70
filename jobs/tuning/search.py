"""Tuning under a time budget: one step at a time along the values of each parameter, through the serving formula."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.tuning.ensemble import mix
from jobs.tuning.objective import Bench
from jobs.tuning.space import FORMULA, WEIGHTING, Space, Values
from jobs.tuning.trial import Clock, Deadline, Trial, better, standard_error, timed
from shared.domain.formula import Formula

# candidates this far behind the best, by share, are not tuned further
GIVEN_UP: Final = 0.85
# a candidate of which one fit takes more of the budget is not tried
MOST_OF_BUDGET: Final = 0.25
# what tuning found must be ahead of what was not tuned by so many standard errors of the gain: the rule of one standard
# error (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984)
TUNED_GAIN: Final = 1.0
# the place of the personal start among the starts
PERSONAL: Final = 1
# what is left of the budget for mixing the candidates
MIXING: Final = 0.15


def starting_formula(bench: Bench) -> Formula:
    """Return where the search starts: what is asked for decides what may return."""
    new_only = bench.new_only
    return Formula(
        profile_events=50,
        weight_power=0.5,
        blend=0.8 if bench.has_taste() else 1.0,
        trending_prior=0.03,
        trending_window="30d",
        repeat_weight=0.0 if new_only else 3.0,
        returning="unseen" if new_only else "all",
    )


def other_starts(bench: Bench, formula: Formula) -> list[Formula]:
    """Return formulae far from where the search is, which single steps would not reach.

    One lets long profiles speak alone, each product as often as it was met; the other is mostly what sells.
    """
    personal = formula.with_(
        profile_events=200,
        frequency_power=1.0,
        blend=1.0,
        trending_prior=0.0,
        half_life_days=None,
        rank_decay=1.0,
        weight_power=formula.weight_power if bench.one_weight else 0.0,
        repeat_weight=0.0 if bench.new_only else 1.0,
    )
    return [personal, formula.with_(trending_prior=3.0, trending_window="all")]


def formula_values(bench: Bench) -> Values:
    """Return what of the formula is tuned on this split."""
    fixed: set[str] = set()
    if bench.new_only:
        fixed |= {"returning", "repeat_weight"}
    if not bench.has_taste():
        fixed |= {"blend", "affinity_trend"}
    if bench.one_weight:
        fixed |= {"weight_power"}
    return {name: values for name, values in FORMULA.items() if name not in fixed}


def weighting_values(bench: Bench) -> Values:
    """Return what of the weighting is tuned on this split."""
    return {name: values for name, values in WEIGHTING.items() if not (bench.one_weight and name == "weight_power")}


def steps(values: Values, current: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield single changes: each parameter's values up to two away, and all others where they have no order."""
    for name, options in values.items():
        if any(isinstance(one, str) for one in options):
            yield from ((name, one) for one in options if one != current[name])
            continue
        at = options.index(current[name]) if current[name] in options else 0
        # far steps first: the neighbours of the best are tried in the end
        for other in (at + 2, at - 2, at + 1, at - 1):
            if 0 <= other < len(options):
                yield name, options[other]


def start_elsewhere(bench: Bench, space: Space, trial: Trial, deadline: Deadline) -> tuple[list[Trial], Trial | None]:
    """Move the trial to another start where that is better; return it as from each of the others, and as from PERSONAL.

    The last is None where there was no time for it.

    Each start takes the better of two weightings: training on how often, rather than whether, suits profiles that count
    too, and neither gains much without the other.
    """
    fits = [trial]
    # a fit, and about as long again to serve from it
    if trial.weighting.repeated != "sum" and 4 * trial.fit_seconds < deadline.left:
        weighting = replace(trial.weighting, repeated="sum", weight_power=0.5 if bench.one_weight else 0.0)
        similar = bench.fit(space, trial.parameters, weighting)
        fits.append(replace(trial, weighting=weighting, similar=similar))
        trial.fits += 1
    rivals: list[Trial] = []
    plain: Trial | None = None
    for place, formula in enumerate((trial.formula, *other_starts(bench, trial.formula))):
        best: Trial | None = None if place else replace(trial)
        for one in fits:
            assert one.similar is not None
            if deadline.left <= 0:
                break
            if one is trial and not place:
                continue
            scores = bench.serve(one.similar, formula)
            if best is None or better(scores, best.scores):
                best = replace(one, formula=formula, scores=scores)
        if best is not None:
            rivals.append(best)
        if best is not None and place == PERSONAL:
            plain = replace(best)
    for one in rivals:
        take_over(trial, one)
    return [one for one in rivals if one.formula != trial.formula], plain


def take_over(trial: Trial, other: Trial) -> None:
    """Move the trial to where another is, if that is better."""
    assert other.scores is not None
    if better(other.scores, trial.scores):
        trial.formula, trial.weighting = other.formula, other.weighting
        trial.scores, trial.similar = other.scores, other.similar


def tune_rivals(bench: Bench, trial: Trial, rivals: Sequence[Trial], values: Values, deadline: Deadline) -> None:
    """Tune the formula from the starts that did not look best too, the better ones first."""
    for one in sorted(rivals, key=lambda one: -one.score):
        if deadline.left <= 0:
            return
        tune_formula(bench, one, values, deadline)
        take_over(trial, one)


def tune_formula(bench: Bench, trial: Trial, values: Values, deadline: Deadline) -> None:
    """Improve the trial's formula in place, one constant after the other, as long as time is left."""
    for name, options in values.items():
        _tune_constant(bench, trial, name, options, deadline)


def _tune_constant(bench: Bench, trial: Trial, name: str, options: Sequence[Any], deadline: Deadline) -> None:
    assert trial.similar is not None
    tried = {getattr(trial.formula, name)}
    moved = True
    while moved:
        moved = False
        for _, value in steps({name: options}, asdict(trial.formula)):
            if value in tried:
                continue
            if deadline.left <= 0:
                return
            tried.add(value)
            formula = trial.formula.with_(**{name: value})
            scores = bench.serve(trial.similar, formula)
            if better(scores, trial.scores):
                trial.formula, trial.scores = formula, scores
                moved = True
                break


def run_fit(
    bench: Bench, space: Space, trial: Trial, parameters: dict[str, Any], weighting: Weighting, clock: Clock
) -> bool:
    """Fit and score, and take the result if it is better. Raises Unsuitable."""
    started = clock()
    similar = bench.fit(space, parameters, weighting)
    scores = bench.serve(similar, trial.formula)
    trial.fits += 1
    trial.fit_seconds = clock() - started
    trial.seconds += trial.fit_seconds
    if not better(scores, trial.scores):
        return False
    trial.parameters, trial.weighting, trial.scores, trial.similar = parameters, weighting, scores, similar
    return True


def tune(
    bench: Bench, spaces: Mapping[str, Space], deadline: Deadline, report: Callable[[Trial], None] = lambda _: None
) -> list[Trial]:
    """Tune every candidate within the budget and return them, best first; the first always runs.

    Everyone is fitted once at its start; then those within reach of the best share the time, a step a turn, the formula
    being tuned again whenever a model has improved; in the end they are mixed. A step that took longer than what is
    left is not begun.
    """
    weighting_space, formula_space = weighting_values(bench), formula_values(bench)
    formula, weighting = starting_formula(bench), Weighting()
    trials: list[Trial] = []
    plains: list[Trial] = []
    for name, space in spaces.items():
        trial = Trial(name, dict(space.start), weighting, formula)
        trials.append(trial)
        if deadline.left <= 0 and any(one.scores is not None for one in trials):
            trial.note = "not tried: the time budget was used up"
            continue
        if trials[0].scores is not None and bench.seconds(space) > MOST_OF_BUDGET * deadline.seconds:
            trial.note = f"not tried: a fit would take more than {MOST_OF_BUDGET:.0%} of the time budget"
            continue
        try:
            run_fit(bench, space, trial, trial.parameters, trial.weighting, deadline.clock)
        except Unsuitable as error:
            trial.note = f"not tried: {error}"
            continue
        # no candidate may take what the others need
        share = deadline.part(1 / 16)
        with timed(trial, deadline.clock):
            rivals, plain = start_elsewhere(bench, space, trial, share)
            plains += [plain] if plain else []
            tune_formula(bench, trial, formula_space, share)
            # where the model has little say, no step of it would gain: it is heard first
            if trial.formula.blend < 0.5:
                tune_rivals(bench, trial, rivals, formula_space, share)
        if trial.fit_seconds < deadline.seconds / 100:
            # ages matter alike to all: what a quick one finds, the slow ones start from
            while share.left > 0 and _turn(bench, space, trial, weighting_space, {}, share):
                pass
        with timed(trial, deadline.clock):
            tune_rivals(bench, trial, rivals, formula_space, share)
        report(trial)
        best = max(trials, key=lambda one: one.score)
        formula, weighting = best.formula, best.weighting
    running = [trial for trial in trials if trial.scores is not None]
    models_end = Deadline(deadline.left - deadline.seconds * MIXING, deadline.clock)
    _take_turns(bench, spaces, running, weighting_space, formula_space, models_end, report)
    trials.sort(key=lambda one: -one.score)
    mixture = mix(bench, trials, deadline, lambda trial, end: tune_formula(bench, trial, formula_space, end))
    if mixture is not None:
        trials.insert(0, mixture)
        report(mixture)
    keep_plain(trials, plains)
    return trials


def keep_plain(trials: list[Trial], plains: Sequence[Trial]) -> None:
    """Put first, as it began, the best of what was not tuned, where all the tuning gained no more than noise would.

    The best of hundreds of trials is ahead on the days it was chosen on, whatever it is worth on others.
    """
    if not plains or trials[0].scores is None:
        return
    plain = max(plains, key=lambda one: one.score)
    assert plain.scores is not None
    gain = trials[0].scores - plain.scores
    if float(gain.mean()) > TUNED_GAIN * standard_error(gain):
        return
    kept = next(one for one in trials if one.algorithm == plain.algorithm)
    kept.parameters, kept.weighting, kept.formula = plain.parameters, plain.weighting, plain.formula
    kept.scores, kept.similar = plain.scores, plain.similar
    kept.note = "as it began: what tuning gained is no more than noise"
    trials.remove(kept)
    trials.insert(0, kept)


def _take_turns(
    bench: Bench,
    spaces: Mapping[str, Space],
    running: list[Trial],
    weighting_space: Values,
    formula_space: Values,
    deadline: Deadline,
    report: Callable[[Trial], None],
) -> None:
    pending = list(running)
    while pending and deadline.left > 0:
        best = max(trial.score for trial in running)
        for trial in [one for one in pending if one.score < GIVEN_UP * best]:
            trial.note = "given up: too far behind"
            pending.remove(trial)
        for trial in [one for one in pending if one.fit_seconds > deadline.left]:
            trial.note = "stopped: no time for another fit"
            pending.remove(trial)
        if not pending:
            return
        # time is shared, not turns; who is a tenth behind gets a third as much
        trial = min(pending, key=lambda one: one.seconds * (best / max(one.score, 1e-9)) ** 10)
        if not _turn(bench, spaces[trial.algorithm], trial, weighting_space, formula_space, deadline):
            trial.note = "done: no step gains"
            pending.remove(trial)
        report(trial)


def _turn(
    bench: Bench, space: Space, trial: Trial, weighting_space: Values, formula_space: Values, deadline: Deadline
) -> bool:
    """Take one step of the model, or of how it weighs; return whether there may be more."""
    of_model = space.values if formula_space else {}
    for name, value in (*steps(of_model, trial.parameters), *steps(weighting_space, asdict(trial.weighting))):
        parameters, weights = dict(trial.parameters), asdict(trial.weighting)
        (weights if name in weighting_space else parameters)[name] = value
        key = (*sorted(parameters.items()), *weights.values())
        if key in trial.tried:
            continue
        trial.tried.add(key)
        if run_fit(bench, space, trial, parameters, Weighting(**weights), deadline.clock) and formula_space:
            with timed(trial, deadline.clock):
                tune_formula(bench, trial, formula_space, deadline.part(1 / 30))
        return True
    return False
