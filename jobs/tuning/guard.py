"""Keeps a model from being replaced by a worse one, by comparing both on the same users, user by user.

docs/decisions/0035-warm-start.md gives the reasons for the rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.arrays import BoolArray, Float64Array
from jobs.models.errors import Unsuitable
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.offline.split import NothingToMeasure, split_by_mask
from jobs.tuning.budget import Budget
from jobs.tuning.drift import Fall
from jobs.tuning.fitting import MIXTURE, NEIGHBOURS, fit, part
from jobs.tuning.objective import Objective
from jobs.tuning.space import Space
from jobs.tuning.trial import ERROR_KEY, SCORE_KEY, is_ahead, is_better, standard_error
from jobs.tuning.warm_start import ActiveVersion
from shared.domain.formula import Formula, Repeats

# The stored neighbours are kept only if they are ahead by this many standard errors: without a new version, new
# products have no neighbours.
STORED_GAIN_MIN: Final = 3.0
# With fewer held-out users the stored neighbours are not compared, as in a shop too small to choose on.
STORED_USERS_MIN: Final = 25


@dataclass(frozen=True)
class Quality:
    """A mean NDCG@20, its standard error, and the number of users."""

    mean: float
    error: float
    users: int

    @classmethod
    def of(cls, scores: Float64Array, weights: Float64Array) -> "Quality":
        """Return the quality of weighted scores; both of shape (n_users,)."""
        scale = float(weights.mean()) or 1.0
        return cls(float(scores.mean()) / scale, standard_error(scores) / scale, len(scores))

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``models`` and ``training_runs`` store."""
        return {SCORE_KEY: round(self.mean, 5), ERROR_KEY: round(self.error, 5), "users": self.users}


@dataclass(frozen=True)
class Refit:
    """The active version's model, fitted again before each cut.

    Attributes
    ----------
    parameters, weighting : those of the version.
    formula : with its repeat weight in units of the mean score.
    neighbours : one per fold.
    scores : of each held-out user, shape (n_users,): NDCG@20 times ``factor`` (``Objective.find_factor``).
    parts : the algorithm, parameters, weighting and neighbours (one per fold) of each model in it.
    """

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    neighbours: list[Neighbours]
    scores: Float64Array
    factor: float
    parts: Sequence[tuple[str, dict[str, Any], Weighting, list[Neighbours]]]

    def find_part(self, algorithm: str, parameters: dict[str, Any], weighting: Weighting) -> list[Neighbours] | None:
        """Return the neighbours of the part with exactly these values; None if there is none."""
        return next((part[3] for part in self.parts if part[:3] == (algorithm, parameters, weighting)), None)


def refit(objective: Objective, active: ActiveVersion, spaces: Mapping[str, Space], budget: Budget) -> Refit:
    """Fit the active version's model before each cut, and charge the budget, however little of it is left.

    Raises Unsuitable if it cannot be fitted on today's history.
    """
    is_mixture = active.algorithm == MIXTURE
    single = part(active.algorithm, active.parameters, active.weighting, 1.0)
    models: list[dict[str, Any]] = active.parameters["parts"] if is_mixture else [single]
    parts: list[tuple[str, dict[str, Any], Weighting, list[Neighbours]]] = []
    shares: list[tuple[list[Neighbours], float]] = []
    for model in models:
        weighting = Weighting(**model["weighting"])
        try:
            neighbours = objective.fit(spaces[model["algorithm"]], model["parameters"], weighting, budget)
        except (TypeError, ValueError) as error:
            # a parameter, or a value of one, that an earlier release accepted but this one does not
            raise Unsuitable(
                f"{model['algorithm']} cannot be fitted with the parameters of version {active.version}: {error}"
            ) from None
        parts.append((model["algorithm"], model["parameters"], weighting, neighbours))
        shares.append((neighbours, model["share"]))
    mixed = shares[0][0]
    if is_mixture:
        budget.charge(objective.predict_mixing(len(shares)))
        mixed = [
            mix_models([(neighbours[fold], share) for neighbours, share in shares], NEIGHBOURS)
            for fold in range(len(objective.folds))
        ]
    formula = active.formula_for(mixed[0].mean_score)
    if formula.exclusion_policy not in objective.policies:
        formula = formula.with_(exclusion_policy=objective.policies[0])
    scores, factor = objective.score(mixed, formula, budget), objective.find_factor(mixed, formula, budget)
    return Refit(active.algorithm, active.parameters, active.weighting, formula, mixed, scores, factor, parts)


def is_newest(objective: Objective) -> BoolArray:
    """Return which of the objective's users were held out by the newest cut, shape (n_users,)."""
    n_newest = sum(len(group.relevant_counts) for group in objective.folds[0].groups)
    return np.arange(len(objective.weights)) < n_newest


def measure_fall(objective: Objective, active: ActiveVersion, again: Refit) -> Fall | None:
    """Return the quality of the version when it was chosen, and that of its model fitted again.

    Returns None if the version does not store its quality.
    """
    if active.score is None or active.standard_error is None:
        return None
    newest = is_newest(objective)
    now = Quality.of(again.scores[newest] / again.factor, objective.weights[newest])
    return Fall(active.score, active.standard_error, now.mean, now.error)


@dataclass(frozen=True)
class Comparison:
    """The choice compared with the active version's parameters, fitted on the same days.

    Attributes
    ----------
    choice, active : the quality of each on the newest held-out days, without any factor that reduced scores.
    gain, error : the mean gain of the choice on these days, paired by user, and its standard error.
    keeps_parameters : whether the active version's parameters are kept.
    reason : why they are kept or replaced.
    """

    version: int
    choice: Quality
    active: Quality
    gain: float
    error: float
    keeps_parameters: bool
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``models`` and ``training_runs`` store."""
        return {
            "version": self.version,
            "kept_parameters": self.keeps_parameters,
            "reason": self.reason,
            "chosen": self.choice.as_json(),
            "active": self.active.as_json(),
            "gain": round(self.gain, 5),
            "gain_standard_error": round(self.error, 5),
        }


def compare(
    objective: Objective,
    version: int,
    choice: Float64Array,
    active: Float64Array,
    *,
    choice_factor: float = 1.0,
    active_factor: float = 1.0,
) -> Comparison:
    """Compare the scores of the choice with those of the active version's parameters, both of shape (n_users,).

    The newest days decide. If they show no difference beyond noise, all held-out days together decide, and if they show
    none either, the choice is published. The scores compared include the factors (``Objective.find_factor``), so that
    lists too much like a stranger's lose; the reported figures do not include them.
    """
    newest = is_newest(objective)
    weights = objective.weights[newest]
    choice_ndcg, active_ndcg = choice[newest] / choice_factor, active[newest] / active_factor
    choice_quality, active_quality = Quality.of(choice_ndcg, weights), Quality.of(active_ndcg, weights)
    gain = (choice_ndcg - active_ndcg) / (float(weights.mean()) or 1.0)
    figures = f"NDCG@20 {choice_quality.mean:.4f} against {active_quality.mean:.4f} on {len(gain)} users"
    for name, factor in (("the choice", choice_factor), (f"version {version}", active_factor)):
        if factor < 1.0:
            figures += (
                f"; the score of {name} is multiplied by {factor:.2f}, because its lists after the first views are "
                "too much like a stranger's"
            )
    keeps = False
    if is_better(active[newest], choice[newest]):
        keeps, reason = True, f"the choice is worse than version {version}'s parameters on the newest days: {figures}"
    elif is_better(choice[newest], active[newest]):
        reason = f"the choice is better than version {version}'s parameters on the newest days: {figures}"
    elif is_better(active, choice):
        keeps = True
        reason = f"the choice is worse than version {version}'s parameters on all held-out days; newest: {figures}"
    else:
        reason = f"the choice is no worse than version {version}'s parameters on the newest days: {figures}"
    return Comparison(version, choice_quality, active_quality, float(gain.mean()), standard_error(gain), keeps, reason)


@dataclass(frozen=True)
class PublishedModel:
    """The model to be published; the formula's repeat weight is in units of the mean score."""

    algorithm: str
    parameters: Mapping[str, Any]
    weighting: Weighting
    formula: Formula


def find_stored_advantage(
    history: History,
    catalog: Catalog,
    model: PublishedModel,
    active: ActiveVersion,
    stored: Neighbours,
    until: np.datetime64,
    *,
    repeats: Repeats,
    length_shares: tuple[float, ...] | None,
    spaces: Mapping[str, Space],
    seed: int = 0,
) -> str | None:
    """Return why to keep the stored neighbours rather than publish the model's; None if the model should be published.

    Both are evaluated on the events after ``until``, which neither has learned from. The model learns from today's
    history up to ``until``, as the stored neighbours did from the history of their day: they are ahead only if that
    history was better, for instance because events have been lost since. Returns None also if there are too few users
    to tell.

    stored : the active version's neighbours in the history's codes.
    until : the newest event that the active version learned from.
    """
    try:
        split = split_by_mask(history, history.times > until, new_only=False, now=until)
        # products of the stored neighbours may be shown, even if they are missing from today's history
        split = replace(split, known_items=split.known_items | (stored.counts > 0))
        objective = Objective([split], catalog, repeats=repeats, length_shares=length_shares, seed=seed)
    except NothingToMeasure:
        return None
    if len(objective.weights) < STORED_USERS_MIN:
        return None
    try:
        neighbours = fit(split.train, until, model.algorithm, model.parameters, model.weighting, spaces)
    except Unsuitable:
        return None
    budget = Budget(0.0)
    new_formula = model.formula.for_repeats(repeats)
    old_formula = active.formula_for(stored.mean_score).for_repeats(repeats)
    new, old = objective.score([neighbours], new_formula, budget), objective.score([stored], old_formula, budget)
    if not is_ahead(old, new, STORED_GAIN_MIN):
        return None
    new /= objective.find_factor([neighbours], new_formula, budget)
    old /= objective.find_factor([stored], old_formula, budget)
    return (
        f"the stored neighbours of version {active.version} are better than any learned from today's history: "
        f"NDCG@20 {Quality.of(old, objective.weights).mean:.4f} against "
        f"{Quality.of(new, objective.weights).mean:.4f} on {len(new)} users since they were published"
    )
