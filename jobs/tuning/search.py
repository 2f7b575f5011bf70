"""Tunes algorithms and the serving formula within a budget of predicted cost, one phase after the other.

docs/decisions/0016-model-choice.md gives the reasons, docs/decisions/0032-predicted-cost.md those for the budget.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.tuning.bagging import bag_trials
from jobs.tuning.budget import Budget
from jobs.tuning.drift import Fall
from jobs.tuning.ensemble import mix_trials
from jobs.tuning.guard import Refit, measure_fall, refit
from jobs.tuning.objective import Objective
from jobs.tuning.plan import cheapest
from jobs.tuning.space import Space
from jobs.tuning.starts import PERSONAL_START, formula_values, other_starts, starting_formula
from jobs.tuning.steps import (
    FIT_SHARE_MAX,
    FORMULA_SHARE,
    fit_trial,
    has_fresh_steps,
    predict_step,
    step_model,
    step_weighting,
    sweep_formula,
    try_other_starts,
    tune_formula,
    tune_rivals,
)
from jobs.tuning.trial import TUNED_GAIN_MIN, FinishedTrial, Trial, TrialState, charged, is_ahead, is_better
from jobs.tuning.warm_start import ActiveVersion
from shared.domain.formula import Formula

# Trials with less than this share of the best score are not tuned further.
GIVEN_UP_BELOW: Final = 0.85
# Algorithms with at least this share of the best score are the leading ones. They are tuned from a far start as well if
# a fit there takes at most the share FAR_SHARE_MAX of the budget.
LEADING_FROM: Final = 0.9
FAR_SHARE_MAX: Final = 0.08
# A trial from a far start with less than this share of the score of its algorithm's other trial is not tuned further.
FAR_GIVEN_UP_BELOW: Final = 0.97
# The share of the budget that the first algorithm may take before the others have their turn: they start from the
# formula and the weighting that suit it.
FIRST_SHARE: Final = 1 / 12
# The share of each further algorithm.
NEXT_SHARE: Final = 1 / 30
# A fit that takes less than this share of the budget is quick: its algorithm tunes the weighting on behalf of the slow
# ones.
QUICK_FIT_SHARE: Final = 1 / 100
# A further algorithm whose best start has less than this share of the best score has no turn yet.
FIRST_TURN_FROM: Final = 0.8
# The shares of the budget reserved for mixing, for the sweep of the best trial's formula, and for far starts and steps:
# earlier phases leave these, however many algorithms there are.
MIXING_SHARE: Final = 0.15
SWEEP_SHARE: Final = 0.1
STEPS_SHARE: Final = 0.15
AFTER_STARTS_SHARE: Final = STEPS_SHARE + SWEEP_SHARE + MIXING_SHARE
# A model with less than this share in the score (``blend``) has little effect: other starts of the formula are tuned
# before the model.
SMALL_BLEND: Final = 0.5


class Search:
    """A search for the best model for an objective. ``run`` goes through the phases, each of which is a method.

    Parameters
    ----------
    spaces : the algorithms, in the order in which they are first tried.
    budget : of predicted cost. No step begins once it is used up, except for the first fits of the cheapest algorithms.
    report : called whenever a trial has changed.
    active : the model version that is served; its algorithms start from its values.
    """

    def __init__(
        self,
        objective: Objective,
        spaces: Mapping[str, Space],
        budget: Budget,
        report: Callable[[Trial], None] = lambda _: None,
        active: ActiveVersion | None = None,
    ) -> None:
        self.objective, self.spaces, self.budget, self.report = objective, spaces, budget, report
        self.live: list[Trial] = []
        self.mixture: Trial | None = None
        self.finished: list[FinishedTrial] = []
        self.active = active
        self.refit: Refit | None = None
        self.fall: Fall | None = None
        # whether steps that failed when the active version was chosen are retried on a par with others
        self.explores = active is None or active.has_moved
        self.untuned: list[Trial] = []
        self._formula_values = formula_values(objective)
        # the cost of the last sweep and of the last mixing
        self._sweep_s, self._mixing_s = 0.0, 0.0

    def run(self) -> list[FinishedTrial]:
        """Return all trials, best first."""
        self.budget.charge(self.objective.predict_compiling())
        self.fit_active()
        self.fit_starts()
        self.fit_far_starts()
        self.share_budget()
        self.sweep()
        self.mix()
        self.spend_rest()
        self.finish()
        self.prefer_untuned()
        return self.finished

    def fit_active(self) -> None:
        """Fit the active version's model unchanged, whatever the budget, so that no worse model can replace it."""
        if self.active is None:
            return
        try:
            self.refit = refit(self.objective, self.active, self.spaces, self.budget)
        except Unsuitable:
            return
        self.fall = measure_fall(self.objective, self.active, self.refit)
        self.explores = self.explores or (self.fall is not None and self.fall.is_drift())

    def _order(self) -> list[str]:
        """Return the algorithms in the order in which they are tried.

        If the active version's values are still useful, its algorithms come first, followed by those that the budget
        did not reach when it was chosen.
        """
        if self.active is None or self.explores:
            return list(self.spaces)
        own, points = self.active.algorithms(), self.active.points
        tried = {name for name, point in points.items() if point.was_tried}
        return sorted(self.spaces, key=lambda name: 0 if name in own else 2 if name in tried else 1)

    def fit_starts(self) -> None:
        """Fit every algorithm at its start, and tune its formula with a first share of the budget.

        Each algorithm starts with the weighting and the formula of the best trial so far, or with the tuned values that
        the active version stores for it, if those are better.
        """
        starting_weighting = Weighting()
        formula, weighting = starting_formula(self.objective), starting_weighting
        always = cheapest(self.spaces, lambda space: self.objective.predict_fit(space, space.start, starting_weighting))
        for name in self._order():
            space = self.spaces[name]
            own = replace(weighting, session_gap_minutes=None) if space.starts_by_user else weighting
            predicted = self.objective.predict_fit(space, space.start, own)
            if name not in always or (self.budget.is_aborted and self.live):
                if self.budget.left <= 0:
                    self._skip(name, own, TrialState.TOO_COSTLY, "not tried: the budget was used up")
                    continue
                if predicted > FIT_SHARE_MAX * self.budget.seconds:
                    note = f"not tried: a fit would take more than {FIT_SHARE_MAX:.0%} of the budget"
                    self._skip(name, own, TrialState.TOO_COSTLY, note)
                    continue
            try:
                trial = self._fit_start(name, own, formula)
            except Unsuitable as error:
                self._skip(name, own, TrialState.UNSUITABLE, f"not tried: {error}")
                continue
            self._tune_first(trial, predicted)
            self.live.append(trial)
            self.report(trial)
            best = self._best()
            formula, weighting = best.formula, best.weighting

    def _fit_start(self, name: str, weighting: Weighting, formula: Formula) -> Trial:
        """Return the trial at the start of the space, or at the active version's values if those are no worse.

        Raises Unsuitable if the algorithm cannot be fitted at the start.
        """
        start = dict(self.spaces[name].start)
        warm = self._fit_warm(name)
        if warm is not None and self.budget.left <= 0:
            return warm
        if warm is not None and (warm.parameters, warm.weighting) == (start, weighting):
            # the same model: no second fit is needed
            cold = replace(warm, formula=formula, fits=0, cost=0.0)
            cold.scores = self.objective.score(cold.neighbours, formula, self.budget)
        else:
            cold = fit_trial(self.objective, name, self.spaces[name], start, weighting, formula, self.budget)
        if warm is None:
            return cold
        personal = other_starts(self.objective, cold.formula)[PERSONAL_START - 1]
        scores = self.objective.score(cold.neighbours, personal, self.budget)
        self.untuned.append(replace(cold, formula=personal, scores=scores))
        warm.fits, warm.cost = warm.fits + cold.fits, warm.cost + cold.cost
        warm.take_over(cold)
        return warm

    def _fit_warm(self, name: str) -> Trial | None:
        """Return the trial at the active version's values; None if it has none, or if a fit there is not affordable."""
        point = self.active.points.get(name) if self.active is not None else None
        if self.active is None or point is None:
            return None
        space = self.spaces[name]
        formula = point.formula_near(starting_formula(self.objective), self._formula_values)
        if not self.objective.allows(formula):
            return None
        known = None
        if self.refit is not None:
            known = self.refit.find_part(name, point.parameters, point.weighting)
        before = self.budget.spent
        if known is None:
            predicted = self.objective.predict_fit(space, point.parameters, point.weighting)
            if self.budget.left <= 0 or predicted > FIT_SHARE_MAX * self.budget.seconds:
                return None
            try:
                known = self.objective.fit(space, point.parameters, point.weighting, self.budget)
            except Unsuitable:
                return None
        scores = self.objective.score(known, formula, self.budget)
        return Trial(
            name,
            dict(point.parameters),
            point.weighting,
            formula,
            scores,
            known,
            cost=self.budget.spent - before,
            version=self.active.version,
            deferred_steps=frozenset() if self.explores else point.failed_steps,
        )

    def _best(self) -> Trial:
        return max(self.live, key=lambda trial: trial.score)

    def _skip(self, name: str, weighting: Weighting, state: TrialState, note: str) -> None:
        parameters, formula = dict(self.spaces[name].start), starting_formula(self.objective)
        point = self.active.points.get(name) if self.active is not None else None
        if self.active is None or point is None:
            self.finished.append(FinishedTrial(name, parameters, weighting, formula, state, note))
            return
        # the next version inherits what is known about this algorithm
        self.finished.append(
            FinishedTrial(
                name,
                point.parameters,
                point.weighting,
                point.formula_near(formula, self._formula_values),
                state,
                note,
                version=self.active.version,
                failed_steps=point.failed_steps,
            )
        )

    def _tune_first(self, trial: Trial, predicted: float) -> None:
        """Tune the formula from several starts, and the weighting if a fit is quick; it takes ``predicted`` seconds."""
        share = self.budget.part(NEXT_SHARE if self.live else FIRST_SHARE, reserved=AFTER_STARTS_SHARE)
        space, values = self.spaces[trial.algorithm], self._formula_values
        if trial.version is not None and not self.explores:
            # when the version was chosen, the other starts and the steps of the weighting were no better
            with charged(trial, share):
                tune_formula(self.objective, trial, values, share)
            return
        with charged(trial, share):
            starts = try_other_starts(self.objective, space, trial, share)
            self.untuned += [starts.untuned] if starts.untuned else []
            if self.live and trial.score < FIRST_TURN_FROM * self._best().score:
                return
            tune_formula(self.objective, trial, values, share)
            # while the model has little effect, none of its steps would gain
            if trial.formula.blend < SMALL_BLEND:
                tune_rivals(self.objective, trial, starts.rivals, values, share)
        if predicted < QUICK_FIT_SHARE * self.budget.seconds:
            # a good weighting suits all algorithms: slow ones start from what the quick ones have found
            while share.left > 0 and step_weighting(self.objective, space, trial, share):
                pass
        with charged(trial, share):
            tune_rivals(self.objective, trial, starts.rivals, values, share)

    def fit_far_starts(self) -> None:
        """Fit the leading algorithms at a second start, far from the first, since single steps end in local optima.

        Unless it is well behind, the far trial takes part in later phases alongside its algorithm's other trial.
        """
        best, budget = self._best().score, self.budget.all_but(SWEEP_SHARE + MIXING_SHARE)
        for trial in sorted(self.live, key=lambda trial: -trial.score):
            space = self.spaces[trial.algorithm]
            if not space.far_start or trial.score < LEADING_FROM * best:
                continue
            # the far start was no better when the version was chosen
            if trial.version is not None and not self.explores:
                continue
            predicted = self.objective.predict_fit(space, space.far_start, trial.weighting)
            if predicted > min(FAR_SHARE_MAX * self.budget.seconds, budget.left):
                continue
            try:
                far = fit_trial(
                    self.objective,
                    trial.algorithm,
                    space,
                    dict(space.far_start),
                    trial.weighting,
                    trial.formula,
                    budget,
                )
            except Unsuitable:
                continue
            share = self.budget.part(FORMULA_SHARE, reserved=SWEEP_SHARE + MIXING_SHARE)
            with charged(far, share):
                tune_formula(self.objective, far, self._formula_values, share)
            self.live.append(far)
            self.report(far)

    def share_budget(self, reserved: float = SWEEP_SHARE + MIXING_SHARE) -> None:
        """Let the trials take steps in turn until none gains, or only the reserved share of the budget is left."""
        budget = self.budget.all_but(reserved)
        while (pending := [trial for trial in self.live if trial.state is None]) and budget.left > 0:
            best = self._best().score
            by_algorithm = {name: self._best_of(name) for name in self.spaces}
            for trial in pending:
                if trial.score < max(GIVEN_UP_BELOW * best, FAR_GIVEN_UP_BELOW * by_algorithm[trial.algorithm]):
                    trial.state = TrialState.GIVEN_UP
                elif predict_step(self.objective, self.spaces[trial.algorithm], trial) > budget.left:
                    trial.state = TrialState.STOPPED
            pending = [trial for trial in pending if trial.state is None]
            if not pending:
                return
            # trials share cost, not turns: one that is a tenth behind the best gets a third of the best one's share;
            # those that can only repeat what failed when the active version was chosen come last
            trial = min(
                pending,
                key=lambda trial: (
                    not has_fresh_steps(self.objective, self.spaces[trial.algorithm], trial),
                    trial.cost * (best / max(trial.score, 1e-9)) ** 10,
                ),
            )
            if not step_model(self.objective, self.spaces[trial.algorithm], trial, budget):
                trial.state = TrialState.DONE
            self.report(trial)

    def _best_of(self, algorithm: str) -> float:
        return max((trial.score for trial in self.live if trial.algorithm == algorithm), default=0.0)

    def sweep(self) -> None:
        """Try every value of each parameter of the best trial's formula."""
        trial, budget = self._best(), self.budget.part(SWEEP_SHARE)
        with charged(trial, budget):
            sweep_formula(self.objective, trial, self._formula_values, budget)
        self._sweep_s = budget.spent
        self.report(trial)

    def mix(self) -> None:
        """Mix the trials as they are now, and keep the mixture if it is better than the previous one."""
        before = self.budget.spent
        mixture = mix_trials(
            self.objective,
            [trial.finish() for trial in self._best_by_algorithm().values()],
            self.budget,
            lambda trial, budget: tune_formula(self.objective, trial, self._formula_values, budget),
        )
        if mixture is not None:
            with charged(mixture, self.budget):
                sweep_formula(self.objective, mixture, self._formula_values, self.budget)
            mixture = self._bag(mixture)
            self.report(mixture)
            if self.mixture is None or is_better(mixture.scores, self.mixture.scores):
                self.mixture = mixture
        self._mixing_s = self.budget.spent - before

    def _bag(self, selected: Trial) -> Trial:
        """Return the mean of the mixtures selected on samples of the users, or ``selected`` if that is better."""
        with charged(selected, self.budget):
            bagged = bag_trials(self.objective, self.live, selected.formula, self.budget)
        if bagged is None or is_better(selected.scores, bagged.scores):
            return selected
        bagged.fits, bagged.cost = bagged.fits + selected.fits, selected.cost
        return bagged

    def spend_rest(self) -> None:
        """Take more steps, then sweep and mix again, as long as the budget has room for all of these.

        This spends what was reserved for the sweep and for mixing: they use all of it only if they gain a lot.
        """
        while True:
            before = [trial.scores for trial in self.live]
            for trial in self.live:
                if trial.state is TrialState.STOPPED:
                    trial.state = None
            self.share_budget((self._sweep_s + self._mixing_s) / max(self.budget.seconds, 1e-9))
            if all(trial.scores is scores for trial, scores in zip(self.live, before, strict=True)):
                return
            self.sweep()
            self.mix()

    def _best_by_algorithm(self) -> dict[str, Trial]:
        """Return the best trial of each algorithm, best first."""
        best: dict[str, Trial] = {}
        for trial in sorted(self.live, key=lambda trial: -trial.score):
            best.setdefault(trial.algorithm, trial)
        return best

    def finish(self) -> None:
        """Finish all trials, keep the best one of each algorithm, and sort them, best first.

        The mixture comes first if it is better than the best trial alone.
        """
        best = self._best_by_algorithm()
        for trial in self.live:
            if trial is not (kept := best[trial.algorithm]):
                kept.fits += trial.fits
                kept.cost += trial.cost
        self.finished += [self._finish(trial) for trial in best.values()]
        self.finished.sort(key=lambda trial: -trial.score)
        if self.mixture is not None and is_better(self.mixture.scores, self._best().scores):
            self.finished.insert(0, self._finish(self.mixture))

    def _finish(self, trial: Trial) -> FinishedTrial:
        return trial.finish(self.objective.find_factor(trial.neighbours, trial.formula, self.budget))

    def prefer_untuned(self) -> None:
        """Put the best untuned trial first if the gain of tuning is within noise.

        The best of hundreds of trials is always ahead on the days it was chosen on, whatever it is worth on others.
        """
        if not self.untuned or self.finished[0].scores is None:
            return
        best = max(self.untuned, key=lambda trial: trial.score)
        if is_ahead(self.finished[0].scores, best.scores, TUNED_GAIN_MIN):
            return
        trial = next(trial for trial in self.finished if trial.algorithm == best.algorithm)
        self.finished.remove(trial)
        best.state, best.fits, best.cost = TrialState.UNTUNED, trial.fits, trial.cost
        self.finished.insert(0, replace(self._finish(best), note="untuned: tuning gained no more than noise would"))
