"""The model to publish: the best of all trials, or a default for shops too small to choose on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.offline.split import NothingToMeasure
from jobs.tuning.drift import Fall
from jobs.tuning.fitting import NEIGHBOURS, fit
from jobs.tuning.guard import Comparison, Quality
from jobs.tuning.space import Space
from jobs.tuning.trial import SCORE_KEY, FinishedTrial, TrialState
from jobs.tuning.warm_start import NEWEST_KEY, ActiveVersion
from shared.domain.formula import (
    POPULARITY_DISCOUNT,
    PRIOR_EVIDENCE,
    SERVING_KEY,
    SERVING_KEYS,
    SHORT_PROFILE_FIT,
    Formula,
    Repeats,
)

# The model of a shop too small to choose on: cosine with a strong trending prior; repeat weight in units of similarity.
DEFAULT_TRIAL: Final = FinishedTrial(
    "cosine",
    {"min_co_occurrence": 2},
    Weighting(None, 1.0, "sum"),
    Formula(
        trending_prior=0.3,
        trending_window="30d",
        repeat_weight=0.1,
        prior_evidence=PRIOR_EVIDENCE,
        popularity_discount=POPULARITY_DISCOUNT,
        short_profile_fit=SHORT_PROFILE_FIT,
    ),
    TrialState.UNTUNED,
)


@dataclass(frozen=True)
class Choice:
    """The model to publish, fitted on the whole history, and the results of all trials.

    Attributes
    ----------
    formula : with the repeat weight in units of similarity.
    score : the model's mean NDCG@20 on the held-out days; None for a small shop's default.
    reason : why this model was chosen.
    trials : ``FinishedTrial.summary`` of every trial, best first.
    is_aborted : whether a clock ended tuning, so that the choice depends on the machine: see jobs/tuning/budget.py.
    other_formulae : for answers with other repeats than those that the model was chosen for.
    newest : the model's quality on the newest held-out days alone; None for a small shop's default.
    comparison : with the active version's parameters; None if there is no active version, or none that can be compared.
    fall : the fall in quality of the active version's parameters since it was chosen; None if unknown.
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
            SCORE_KEY: None if self.score is None else round(self.score, 5),
            NEWEST_KEY: None if self.newest is None else self.newest.as_json(),
            "holdout_days": self.holdout_days,
            "compared": None if self.comparison is None else self.comparison.as_json(),
            "why": self.reason,
            "aborted": self.is_aborted,
            "candidates": self.trials,
        }


def fit_default(
    history: History,
    catalog: Catalog,
    reason: str,
    *,
    new_only: bool = False,
    other_repeats: Sequence[Repeats] = (),
    now: np.datetime64 | None = None,
) -> Choice:
    """Return the default choice for a shop too small to choose on; ``reason`` says why it is."""
    formula = DEFAULT_TRIAL.formula.with_(
        blend=Formula.blend if (catalog.categories >= 0).any() else 1.0,
        exclusion_policy="seen" if new_only else "bought",
    )
    algorithm, parameters, weighting = DEFAULT_TRIAL.algorithm, DEFAULT_TRIAL.parameters, DEFAULT_TRIAL.weighting
    neighbours = fit(history, now or history.times.max(), algorithm, parameters, weighting)
    others: dict[Repeats, Formula] = {repeats: formula.for_repeats(repeats) for repeats in other_repeats}
    return Choice(algorithm, parameters, weighting, formula, neighbours, None, reason, None, [], others)


def is_tuned(active: ActiveVersion) -> bool:
    """Return whether a version's parameters differ from the default for small shops."""
    default = (DEFAULT_TRIAL.algorithm, DEFAULT_TRIAL.parameters, DEFAULT_TRIAL.weighting)
    return (active.algorithm, active.parameters, active.weighting) != default


def fit_active(
    history: History,
    active: ActiveVersion,
    reason: str,
    spaces: Mapping[str, Space],
    *,
    other_repeats: Sequence[Repeats] = (),
    now: np.datetime64 | None = None,
) -> Choice:
    """Return the active version's model, fitted on a history too small to choose on; ``reason`` says why it is.

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


def fit_best(
    history: History,
    trials: list[FinishedTrial],
    spaces: Mapping[str, Space],
    days: float | None,
    now: np.datetime64 | None,
) -> tuple[Choice, FinishedTrial]:
    """Return the best trial fitted on the whole history, or the next best if that one is unsuitable for it.

    trials : best first.  days : number of held-out days; None if each user's last event was held out.

    Returns the choice and the trial. Raises NothingToMeasure if none could be fitted.
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
            float((trial.scores / trial.factor).mean()),
            f"best of {n_scored} trial{'s' if n_scored != 1 else ''} on {len(trial.scores)} held-out users",
            days,
            summaries,
        )
        return choice, trial
    raise NothingToMeasure("no algorithm could be fitted on the whole history")
