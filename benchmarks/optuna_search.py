"""An Optuna study in place of Aisle's search, with the same starts, spaces, mixtures and rules of publication.

A study samples algorithm, parameters, weighting and formula together, or each algorithm has a study of its own and they
share the time by Aisle's rule. A formula costs milliseconds and a fit seconds, so each fit is followed by formulae for
it, sampled with the model's parameters fixed, for as long as it took.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.tuning.budget import Budget
from jobs.tuning.ensemble import ROUNDS_MAX, mix_trials
from jobs.tuning.objective import Objective
from jobs.tuning.search import GIVEN_UP_BELOW, MIXING_SHARE
from jobs.tuning.space import SPACES, Values
from jobs.tuning.starts import PERSONAL_START, formula_values, other_starts, starting_formula, weighting_values
from jobs.tuning.trial import TUNED_GAIN_MIN, Trial, is_ahead
from shared.domain.formula import Formula

SAMPLERS: Final[Mapping[str, Callable[[Any, int], Any]]] = {
    "TPE": lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=False),
    "TPE, multivariate": lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=True, group=True),
    "TPE, a study for each algorithm": lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=True),
    "CMA-ES": lambda samplers, seed: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "random": lambda samplers, seed: samplers.RandomSampler(seed=seed),
}
# Those with a study for each algorithm.
APART: Final = frozenset({"TPE, a study for each algorithm"})
# The share of the budget that an algorithm may take before the next one begins, where each has a study of its own.
FIRST_SHARE: Final = 1 / 16
# Formulae that a fit is scored with at least, however quick it was.
FORMULAE_MIN: Final = 5


class ProcessorBudget(Budget):
    """Measured processor seconds of this process, from now on; predicted costs are not charged."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._end = time.process_time() + seconds

    @property
    def left(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self._end - time.process_time())

    def charge(self, seconds: float) -> None:
        """Spend nothing: the clock does."""

    def part(self, share: float, *, reserved: float = 0.0) -> "ProcessorBudget":
        """Return a budget of this share of the total, or of what is left less what is reserved, if that is less."""
        return ProcessorBudget(min(self.all_but(reserved).seconds, self.seconds * share))

    def all_but(self, share: float) -> "ProcessorBudget":
        """Return a budget of what is left less this share of the total."""
        return ProcessorBudget(max(0.0, self.left - self.seconds * share))


@dataclass
class Search:
    """One search of a sampler.

    algorithms : those that are quick enough.
    best : the best trial of each algorithm.
    untuned : each algorithm at its start, with the personal formula.
    fits, formulae : numbers of fits and of scored formulae so far.
    sampling_seconds : processor time inside Optuna.
    """

    optuna: Any
    objective: Objective
    make_sampler: Callable[[], Any]
    budget: ProcessorBudget
    algorithms: list[str]
    has_studies_apart: bool = False
    best: dict[str, Trial] = field(default_factory=dict)
    untuned: list[Trial] = field(default_factory=list)
    fits: int = 0
    formulae: int = 0
    sampling_seconds: float = 0.0
    _fitted: tuple[Any, list[Neighbours]] | None = None

    def __post_init__(self) -> None:
        self._values = {"weighting": weighting_values(self.objective), "formula": formula_values(self.objective)}

    def run(self) -> Trial:
        """Return what would be published."""
        until = ProcessorBudget(self.budget.seconds * (1 - MIXING_SHARE))
        if self.has_studies_apart:
            self._search_apart(until)
        else:
            self._search_together(until)
        trials = sorted(self.best.values(), key=lambda trial: -trial.score)
        mixture = mix_trials(self.objective, [trial.finish() for trial in trials], self.budget, self._tune_mixture)
        best = mixture or trials[0]
        untuned = max(self.untuned, key=lambda trial: trial.score, default=best)
        return best if is_ahead(best.scores, untuned.scores, TUNED_GAIN_MIN) else untuned

    def _search_together(self, until: ProcessorBudget) -> None:
        study = self._create_study()
        for name in self.algorithms:
            self._enqueue_starts(study, name)
        while until.left > 0:
            self._take_turn(study, None, until)

    def _search_apart(self, until: ProcessorBudget) -> None:
        studies = {}
        seconds = dict.fromkeys(self.algorithms, 0.0)
        for name in self.algorithms:
            studies[name] = study = self._create_study()
            self._enqueue_starts(study, name)
            share = until.part(FIRST_SHARE)
            begun = time.process_time()
            while True:
                self._take_turn(study, name, until)
                if share.left <= 0 or until.left <= 0:
                    break
            seconds[name] = time.process_time() - begun
        while until.left > 0:
            best = max(trial.score for trial in self.best.values())
            running = [name for name in self.best if self.best[name].score >= GIVEN_UP_BELOW * best]
            # the rule of jobs/tuning/search.py: a trial a tenth behind the best gets a third of its time
            name = min(running, key=lambda name: seconds[name] * (best / self.best[name].score) ** 10)
            begun = time.process_time()
            self._take_turn(studies[name], name, until)
            seconds[name] += time.process_time() - begun

    def _create_study(self) -> Any:
        return self.optuna.create_study(direction="maximize", sampler=self.make_sampler())

    def _enqueue_starts(self, study: Any, algorithm: str) -> None:
        """Let the study begin where Aisle does: at the algorithm's start, and at the best trial of those before it."""
        start = starting_formula(self.objective)
        formulae = [(start, Weighting())] + [(other, Weighting()) for other in other_starts(self.objective, start)]
        if self.best:
            best = max(self.best.values(), key=lambda trial: trial.score)
            formulae.append((best.formula, best.weighting))
        for formula, weighting in formulae:
            study.enqueue_trial(self._encode(algorithm, formula, weighting))

    def _take_turn(self, study: Any, algorithm: str | None, until: ProcessorBudget) -> None:
        """Fit once, and then score formulae for as long as that took; a start is scored alone."""
        begun = time.process_time()
        is_start = bool(study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.WAITING,)))
        fixed = self._try(study, algorithm)
        if is_start or fixed is None:
            return
        fit_seconds, begun = time.process_time() - begun, time.process_time()
        sampler = study.sampler
        study.sampler = self.optuna.samplers.PartialFixedSampler(fixed, sampler)
        n = 0
        while until.left > 0 and (n < FORMULAE_MIN or time.process_time() - begun < fit_seconds):
            self._try(study, algorithm)
            n += 1
        study.sampler = sampler

    def _encode(self, algorithm: str, formula: Formula, weighting: Weighting) -> dict[str, Any]:
        """Return an algorithm's starting parameters, with a weighting and a formula, as parameters of the study."""
        groups: list[tuple[str, Values, Callable[[str], Any]]] = [
            (algorithm, SPACES[algorithm].values, lambda name: SPACES[algorithm].start[name]),
            ("weighting", self._values["weighting"], lambda name: getattr(weighting, name)),
            ("formula", self._values["formula"], lambda name: getattr(formula, name)),
        ]
        encoded: dict[str, Any] = {} if self.has_studies_apart else {"algorithm": algorithm}
        for group, values, value_of in groups:
            for name, options in values.items():
                value = value_of(name)
                if value in options:
                    encoded[f"{group}.{name}"] = value if _are_words(options) else options.index(value)
        return encoded

    def _sample(self, trial: Any, group: str, values: Values) -> dict[str, Any]:
        """Return a value of each parameter: of words any, of ordered values by their place."""
        return {
            name: trial.suggest_categorical(f"{group}.{name}", list(options))
            if _are_words(options)
            else options[trial.suggest_int(f"{group}.{name}", 0, len(options) - 1)]
            for name, options in values.items()
        }

    def _try(self, study: Any, algorithm: str | None) -> dict[str, Any] | None:
        """Fit and score what the study suggests; return the model's parameters in the study, None if unsuitable."""
        begun = time.process_time()
        live = study.ask()
        if algorithm is None:
            algorithm = live.suggest_categorical("algorithm", self.algorithms)
        parameters = self._sample(live, algorithm, SPACES[algorithm].values)
        weighting = Weighting(**self._sample(live, "weighting", self._values["weighting"]))
        formula = starting_formula(self.objective).with_(**self._sample(live, "formula", self._values["formula"]))
        self.sampling_seconds += time.process_time() - begun
        if SPACES[algorithm].starts_by_user and not self.best.get(algorithm):
            weighting = replace(weighting, session_gap_minutes=None)
        key = (algorithm, *sorted(parameters.items()), weighting)
        try:
            if self._fitted is None or self._fitted[0] != key:
                self._fitted = key, self.objective.fit(SPACES[algorithm], parameters, weighting, self.budget)
                self.fits += 1
        except Unsuitable:
            study.tell(live, state=self.optuna.trial.TrialState.FAIL)
            return None
        neighbours = self._fitted[1]
        scores = self.objective.score(neighbours, formula, self.budget)
        self.formulae += 1
        candidate = Trial(algorithm, parameters, weighting, formula, scores, neighbours)
        if parameters == SPACES[algorithm].start and formula == self._personal():
            self.untuned.append(candidate)
        if algorithm not in self.best or candidate.score > self.best[algorithm].score:
            self.best[algorithm] = candidate
        begun = time.process_time()
        study.tell(live, candidate.score)
        self.sampling_seconds += time.process_time() - begun
        return {name: value for name, value in live.params.items() if not name.startswith("formula.")}

    def _personal(self) -> Formula:
        return other_starts(self.objective, starting_formula(self.objective))[PERSONAL_START - 1]

    def _tune_mixture(self, mixture: Trial, budget: Budget) -> None:
        """Improve a mixture's formula in place, in a study of its own, for a round's share of the time."""
        end = budget.part(MIXING_SHARE / ROUNDS_MAX)
        study = self._create_study()
        formula = mixture.formula
        values = self._values["formula"]
        encoded = self._encode(self.algorithms[0], formula, Weighting())
        study.enqueue_trial({name: value for name, value in encoded.items() if name.startswith("formula.")})
        while end.left > 0:
            live = study.ask()
            candidate = formula.with_(**self._sample(live, "formula", values))
            scores = self.objective.score(mixture.neighbours, candidate, self.budget)
            self.formulae += 1
            study.tell(live, float(scores.mean()))
            if scores.mean() > mixture.scores.mean():
                mixture.formula, mixture.scores = candidate, scores


def _are_words(options: Sequence[Any]) -> bool:
    return any(isinstance(option, str) for option in options)
