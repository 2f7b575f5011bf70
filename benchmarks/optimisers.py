"""Aisle's search beside Optuna's: ``python -m benchmarks.optimisers --data DIR [--budget SECONDS] [NAME …]``.

Aisle tunes within the budget, and the processor seconds that it used are what Optuna gets. Optuna has the same held-out
users, spaces and starts, and around it stand the same rules: algorithms too slow for the budget are left out, the best
models are mixed, and tuning must gain more than noise. What each publishes is measured on later days.

An Optuna study samples algorithm, parameters, weighting and formula together, or each algorithm has a study of its own
and they share the time by Aisle's rule. A formula costs milliseconds and a fit seconds, so each fit is followed by
formulae for it, sampled with the model's parameters fixed, for as long as it took.
"""

import argparse
import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import cases
from benchmarks.shops import Case
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.offline.metrics import bootstrap_interval, score_users
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import Split
from jobs.tuning.budget import Budget
from jobs.tuning.fitting import NEIGHBOURS, fit
from jobs.tuning.objective import K, Objective
from jobs.tuning.selection import choose_model, compiling_pays
from jobs.tuning.space import SPACES, Values
from jobs.tuning.splits import split_for_tuning
from jobs.tuning.starts import formula_values, other_starts, starting_formula, weighting_values
from shared.domain.formula import Formula

AISLE: Final = "Aisle"
# Samplers are charged the processor time that they use, not what it was predicted to be.
UNLIMITED: Final = Budget(math.inf)
SHOPS: Final = ("online_retail", "sessions", "synthetic")
SAMPLERS: Final[Mapping[str, Callable[[Any, int], Any]]] = {
    "TPE": lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=False),
    "TPE, multivariate": lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=True, group=True),
    "TPE, a study for each algorithm": lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=True),
    "CMA-ES": lambda samplers, seed: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "random": lambda samplers, seed: samplers.RandomSampler(seed=seed),
}
APART: Final = frozenset({"TPE, a study for each algorithm"})
# The rules around Aisle's search, docs/decisions/0016-model-choice.md: the share of the budget that one fit may take,
# that an algorithm may take at first, and that is left for mixing; and the share of the best score below which an
# algorithm is given up.
FIT_SHARE_MAX: Final = 1 / 4
FIRST_SHARE: Final = 1 / 16
MIXING_SHARE: Final = 0.15
GIVEN_UP_BELOW: Final = 0.85
# Models that a mixture may take in, and rounds, each of which takes one of them in once more.
PARTS_MAX: Final = 5
ROUNDS_MAX: Final = 5
# A step of the mixture must gain this share of the standard error of its gain, and tuning a whole one.
STEP_GAIN_MIN: Final = 0.3
TUNED_GAIN_MIN: Final = 1.0
# Formulae that a fit is scored with at least, however quick it was.
FORMULAE_MIN: Final = 5


class Deadline:
    """A budget of this process's processor seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.process_time() + seconds

    @property
    def left(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self._end - time.process_time())

    def part(self, share: float) -> "Deadline":
        """Return a budget of this share of the total, or of the time left if that is less."""
        return Deadline(min(self.left, self.seconds * share))


@dataclass
class Candidate:
    """A model with a formula.

    scores : NDCG@20 of each user of the tuning days, shape (n_users,).  parts : of a mixture, with their shares.
    """

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    scores: NDArray[np.float64]
    neighbours: list[Neighbours]
    parts: list[tuple["Candidate", int]] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Return the mean over users."""
        return float(self.scores.mean())

    def fit(self, split: Split) -> Neighbours:
        """Return the neighbours that are learnt from all events before the measured days."""
        if self.parts:
            return mix_models([(part.fit(split), share) for part, share in self.parts], NEIGHBOURS)
        return fit(split.train, split.now, self.algorithm, self.parameters, self.weighting)


def gains(new: NDArray[np.float64], old: NDArray[np.float64], errors: float) -> bool:
    """Return whether ``new`` is ahead of ``old`` by more than so many standard errors of the difference."""
    gain = new - old
    return float(gain.mean()) > errors * float(gain.std()) / math.sqrt(len(gain))


@dataclass
class Search:
    """One search of a sampler.

    algorithms : those that are quick enough.  best : the best candidate of each.  untuned : each at its start, with the
    personal formula.
    sampling_seconds : processor time inside Optuna.
    """

    optuna: Any
    objective: Objective
    make_sampler: Callable[[], Any]
    deadline: Deadline
    algorithms: list[str]
    has_studies_apart: bool = False
    best: dict[str, Candidate] = field(default_factory=dict)
    untuned: list[Candidate] = field(default_factory=list)
    fits: int = 0
    formulae: int = 0
    sampling_seconds: float = 0.0
    _fitted: tuple[Any, list[Neighbours]] | None = None

    def run(self) -> Candidate:
        """Return what would be published."""
        self.values = {"weighting": weighting_values(self.objective), "formula": formula_values(self.objective)}
        until = Deadline(self.deadline.seconds * (1 - MIXING_SHARE))
        if self.has_studies_apart:
            self._search_apart(until)
        else:
            self._search_together(until)
        best = self._mix(sorted(self.best.values(), key=lambda candidate: -candidate.score)[:PARTS_MAX])
        untuned = max(self.untuned, key=lambda candidate: candidate.score, default=best)
        return best if gains(best.scores, untuned.scores, TUNED_GAIN_MIN) else untuned

    def _mix(self, parts: list[Candidate]) -> Candidate:
        """Return the best mixture by forward selection (Caruana et al., ICML 2004), or the best part."""
        shares = [0] * len(parts)
        shares[0] = 1
        mixture = replace(parts[0])
        for _ in range(ROUNDS_MAX):
            added: int | None = None
            for place, part in enumerate(parts):
                if self.deadline.left <= 0:
                    break
                tried = [share + (other == place) for other, share in enumerate(shares)]
                neighbours = [
                    mix_models(
                        [(part.neighbours[fold], share) for part, share in zip(parts, tried, strict=True) if share],
                        NEIGHBOURS,
                    )
                    for fold in range(len(parts[0].neighbours))
                ]
                for formula in dict.fromkeys((mixture.formula, part.formula)):
                    scores = self.objective.score(neighbours, formula, UNLIMITED)
                    if gains(scores, mixture.scores, STEP_GAIN_MIN):
                        added = place
                        mixture.scores, mixture.neighbours, mixture.formula = scores, neighbours, formula
            if added is None:
                break
            shares[added] += 1
            self._tune_mixture(mixture)
        if sum(share > 0 for share in shares) > 1:
            mixture.algorithm = "mixture"
            mixture.parts = [(part, share) for part, share in zip(parts, shares, strict=True) if share]
        return mixture

    def _search_together(self, until: Deadline) -> None:
        study = self._create_study()
        for name in self.algorithms:
            self._enqueue_starts(study, name)
        while until.left > 0:
            self._take_turn(study, None, until)

    def _search_apart(self, until: Deadline) -> None:
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
            best = max(candidate.score for candidate in self.best.values())
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
            best = max(self.best.values(), key=lambda candidate: candidate.score)
            formulae.append((best.formula, best.weighting))
        for formula, weighting in formulae:
            study.enqueue_trial(self._encode(algorithm, formula, weighting))

    def _take_turn(self, study: Any, algorithm: str | None, until: Deadline) -> None:
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
            ("weighting", self.values["weighting"], lambda name: getattr(weighting, name)),
            ("formula", self.values["formula"], lambda name: getattr(formula, name)),
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
        weighting = Weighting(**self._sample(live, "weighting", self.values["weighting"]))
        formula = starting_formula(self.objective).with_(**self._sample(live, "formula", self.values["formula"]))
        self.sampling_seconds += time.process_time() - begun
        if SPACES[algorithm].starts_by_user and not self.best.get(algorithm):
            weighting = replace(weighting, session_gap_minutes=None)
        key = (algorithm, *sorted(parameters.items()), weighting)
        try:
            if self._fitted is None or self._fitted[0] != key:
                self._fitted = key, self.objective.fit(SPACES[algorithm], parameters, weighting, UNLIMITED)
                self.fits += 1
        except Unsuitable:
            study.tell(live, state=self.optuna.trial.TrialState.FAIL)
            return None
        neighbours = self._fitted[1]
        scores = self.objective.score(neighbours, formula, UNLIMITED)
        self.formulae += 1
        candidate = Candidate(algorithm, parameters, weighting, formula, scores, neighbours)
        if parameters == SPACES[algorithm].start and formula == self._personal():
            self.untuned.append(candidate)
        if algorithm not in self.best or candidate.score > self.best[algorithm].score:
            self.best[algorithm] = candidate
        begun = time.process_time()
        study.tell(live, candidate.score)
        self.sampling_seconds += time.process_time() - begun
        return {name: value for name, value in live.params.items() if not name.startswith("formula.")}

    def _personal(self) -> Formula:
        return other_starts(self.objective, starting_formula(self.objective))[0]

    def _tune_mixture(self, mixture: Candidate) -> None:
        """Improve a mixture's formula in place, in a study of its own, for a round's share of the time."""
        end = self.deadline.part(MIXING_SHARE / ROUNDS_MAX)
        study = self._create_study()
        formula = mixture.formula
        values = self.values["formula"]
        encoded = self._encode(self.algorithms[0], formula, Weighting())
        study.enqueue_trial({name: value for name, value in encoded.items() if name.startswith("formula.")})
        while end.left > 0:
            live = study.ask()
            candidate = formula.with_(**self._sample(live, "formula", values))
            scores = self.objective.score(mixture.neighbours, candidate, UNLIMITED)
            self.formulae += 1
            study.tell(live, float(scores.mean()))
            if scores.mean() > mixture.scores.mean():
                mixture.formula, mixture.scores = candidate, scores


def _are_words(options: Sequence[Any]) -> bool:
    return any(isinstance(option, str) for option in options)


@dataclass
class Outcome:
    """What one method came to on one shop, over all seeds.

    scores : NDCG@20 on the measured days, by seed, each of shape (n_users,).  notes : one for each seed.
    """

    scores: list[NDArray[np.float64]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def measure(split: Split, case: Case, neighbours: Neighbours, formula: Formula, compiled: bool) -> NDArray[np.float64]:
    """Return NDCG@20 of each user of the measured days, shape (n_users,)."""
    snapshot = Snapshot(split.train, split.now, split.users, split.known_items, case.catalog)
    answers = OfflineRecommender(snapshot, K, compiled=compiled).recommend(neighbours, formula)
    return score_users(answers, split.relevant[split.users])["ndcg@20"]


def quick_algorithms(objective: Objective, budget_s: float) -> list[str]:
    """Return the algorithms whose fit takes no more than FIT_SHARE_MAX of the budget.

    Each is fitted twice, and the second fit counts: no method pays for compiling.
    """
    quick = []
    for name, space in SPACES.items():
        try:
            neighbours = objective.fit(space, space.start, Weighting(), UNLIMITED)
            objective.score(neighbours, starting_formula(objective), UNLIMITED)
            begun = time.process_time()
            objective.fit(space, space.start, Weighting(), UNLIMITED)
        except Unsuitable:
            continue
        if time.process_time() - begun <= FIT_SHARE_MAX * budget_s:
            quick.append(name)
    return quick


def compare(case: Case, *, new_only: bool, budget_s: float, seed: int, methods: Sequence[str]) -> dict[str, Outcome]:
    """Return the outcome of Aisle's search and of each sampler on one shop with one seed."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # PartialFixedSampler and ``group`` may change in a later release
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    split = case.split(new_only=new_only)
    how: dict[str, Any] = {"holdout_days": case.days, "leave_last": case.days is None}
    compiled = compiling_pays(budget_s)
    splits = split_for_tuning(split.train, new_only=new_only, **how)[0]
    objective = Objective(splits, case.catalog, seed=seed, compiled=compiled)
    algorithms = quick_algorithms(objective, budget_s)
    begun = time.process_time()
    choice = choose_model(
        split.train,
        case.catalog,
        time_budget_s=budget_s,
        new_only=new_only,
        now=split.now,
        seed=seed,
        clock=time.process_time,
        **how,
    )
    used = time.process_time() - begun
    outcomes = {
        AISLE: Outcome(
            [measure(split, case, choice.neighbours, choice.formula, compiled)],
            [
                f"{choice.algorithm} {choice.score:.4f}; {sum(trial['fits'] for trial in choice.trials)} fits in "
                f"{used:.0f} s"
            ],
        )
    }
    for name in methods:
        search = Search(
            optuna,
            objective,
            lambda name=name: SAMPLERS[name](optuna.samplers, seed),  # type: ignore[misc]  # a default binds the name
            Deadline(used),
            algorithms,
            name in APART,
        )
        begun = time.process_time()
        best = search.run()
        seconds = time.process_time() - begun
        neighbours = best.fit(split)
        formula = best.formula.in_scores_of(neighbours.mean_score)
        outcomes[name] = Outcome(
            [measure(split, case, neighbours, formula, compiled)],
            [
                f"{best.algorithm} {best.score:.4f}; {search.fits} fits, {search.formulae} formulae in "
                f"{seconds:.0f} s, {search.sampling_seconds:.0f} s of them sampling"
            ],
        )
    return outcomes


def table(shop: str, outcomes: Mapping[str, Outcome]) -> str:
    """Return the outcomes as a Markdown table, with how far Aisle is ahead, user by user."""
    lines = [
        f"| {shop} | NDCG@20, by seed | Aisle is ahead by (95 % interval) | chosen, score on the tuning days, cost |",
        "|---|---|---|---|",
    ]
    ours = np.concatenate(outcomes[AISLE].scores)
    for name, outcome in outcomes.items():
        lead = ""
        if name != AISLE:
            difference = ours - np.concatenate(outcome.scores)
            low, high = bootstrap_interval(difference)
            lead = f"{difference.mean():+.4f} ({low:+.4f} to {high:+.4f})"
        by_seed = ", ".join(f"{scores.mean():.4f}" for scores in outcome.scores)
        lines.append(f"| {name} | {by_seed} | {lead} | {' / '.join(outcome.notes)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the methods on the named shops and print a table for each. Exit code 2 without Optuna."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default {', '.join(SHOPS)}")
    parser.add_argument("--data", type=Path, metavar="DIR", help="as for benchmarks.quality")
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS", help="for Aisle's search")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--samplers", default=";".join(SAMPLERS), help="names, separated by semicolons")
    parser.add_argument("--repeats", action="store_true", help="the task with repeats, in place of new products")
    options = parser.parse_args(argv)
    try:
        import optuna  # noqa: F401  # only whether it is there
    except ImportError:
        print("Optuna is not installed: pip install -r benchmarks/requirements.txt", file=sys.stderr)
        return 2
    samplers = options.samplers.split(";")
    seeds = range(1, options.seeds + 1)
    for name, shops in cases(options.names or SHOPS, options.data, seeds):
        total: dict[str, Outcome] = {}
        for place, seed in enumerate(seeds):
            outcomes = compare(
                shops[min(place, len(shops) - 1)],
                new_only=not options.repeats,
                budget_s=options.budget,
                seed=seed,
                methods=samplers,
            )
            for method, outcome in outcomes.items():
                kept = total.setdefault(method, Outcome())
                kept.scores += outcome.scores
                kept.notes += outcome.notes
                print(f"{name} {seed} {method}: {outcome.scores[0].mean():.4f} {outcome.notes[0]}", file=sys.stderr)
        print(table(name, total), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
