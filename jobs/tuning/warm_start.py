"""What the active model version stores: the points from which the next search starts, and the model to compare with.

Rows of ``models`` outlive the release that wrote them. Missing keys, algorithms that no longer exist and values of the
wrong type are ignored; a value outside today's search space is replaced by the nearest one in it.
docs/decisions/0035-warm-start.md gives the reasons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import Any, Final

from jobs.data.weighting import Weighting
from jobs.tuning.fitting import MIXTURE, part
from jobs.tuning.space import FORMULA, WEIGHTING, Space, Values
from jobs.tuning.trial import ERROR_KEY, FAILED_STEPS_KEY, SCORE_KEY, VERSION_KEY, Step
from shared.domain.formula import PROFILE_EVENTS_MAX, SERVING_KEY, SERVING_KEYS, ExclusionPolicy, Formula, Repeats

# Marks a stored value that has no counterpart in the space. None cannot: it is a valid value of some parameters.
NO_VALUE: Final = object()
# The key of ``Choice.metrics`` that holds the version's quality on the days that were the newest then.
NEWEST_KEY: Final = "newest"


@dataclass(frozen=True)
class StartingPoint:
    """The tuned values of one algorithm.

    Attributes
    ----------
    parameters : all of the algorithm's parameters, with values of the space.
    weighting : with values of WEIGHTING.
    serving : the formula's parameters that the version stores, with values of FORMULA; the repeat weight is in units of
        the mean score, and missing if its unit is not known.
    failed_steps : steps from this point that brought no gain.
    was_tried : whether the budget reached the algorithm when the version was chosen; otherwise an earlier version did.
    """

    parameters: dict[str, Any]
    weighting: Weighting
    serving: dict[str, Any]
    failed_steps: frozenset[Step] = frozenset()
    was_tried: bool = True

    def formula_near(self, start: Formula, values: Values) -> Formula:
        """Return ``start`` with the point's values for the parameters that are tuned, the keys of ``values``."""
        changes = {name: value for name, value in self.serving.items() if name in values and value in values[name]}
        return start.with_(**changes)


@dataclass(frozen=True)
class ActiveVersion:
    """The active version, as far as this release can fit it again.

    Attributes
    ----------
    version : the version's number.
    algorithm, parameters, weighting : the arguments of ``fit``, with exactly the version's values.
    formula : the version's formula for the kind of answers that it was chosen for.
    has_mean_score_units : whether the formula's repeat weight is in units of the mean score, rather than of similarity.
    points : where the search of each algorithm starts.
    other_formulae : the version's formulae for other kinds of answers; repeat weights are in units of similarity.
    score, standard_error : its mean NDCG@20 on the newest days when it was chosen, and the standard error of that; on
        all held-out days if the version does not store the former; None if it was not chosen by its quality.
    has_moved : whether the shop has drifted since, or the version is of a release whose formula had fewer parameters:
        steps and starts that failed then may succeed today.
    """

    version: int
    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    has_mean_score_units: bool
    points: Mapping[str, StartingPoint]
    other_formulae: Mapping[Repeats, Formula] = field(default_factory=dict)
    score: float | None = None
    standard_error: float | None = None
    has_moved: bool = False

    def algorithms(self) -> set[str]:
        """Return the algorithms in the version's model."""
        if self.algorithm == MIXTURE:
            return {model["algorithm"] for model in self.parameters["parts"]}
        return {self.algorithm}

    def formula_for(self, mean_score: float) -> Formula:
        """Return the formula with its repeat weight in units of ``mean_score``, that of the model fitted again."""
        if self.has_mean_score_units:
            return self.formula
        return self.formula.with_(repeat_weight=self.formula.repeat_weight / (mean_score or 1.0))


def read_version(
    version: int, algorithm: str, parameters: Any, metrics: Any, spaces: Mapping[str, Space]
) -> ActiveVersion | None:
    """Return what a row of ``models`` stores; None if this release cannot fit its model again."""
    stored, metrics = _mapping(parameters), _mapping(metrics)
    candidates = [_mapping(entry) for entry in _list(metrics.get("candidates"))]
    chosen = next((entry for entry in candidates if entry.get("algorithm") == algorithm), {})
    own = _read_model(algorithm, stored, spaces)
    if own is None:
        return None
    model_parameters, weighting = own
    has_units = isinstance(chosen.get(SERVING_KEY), Mapping)
    formula = _formula(chosen[SERVING_KEY] if has_units else stored.get(SERVING_KEY))
    # a version of an early release has one formula for all answers
    others: dict[Repeats, Formula] = {
        repeats: _formula(stored.get(key) or stored.get(SERVING_KEY)).for_repeats(repeats)
        for repeats, key in SERVING_KEYS.items()
        if key != SERVING_KEY
    }
    newest = _mapping(metrics.get(NEWEST_KEY))
    if _number(newest.get(SCORE_KEY)) is None:
        newest = {SCORE_KEY: metrics.get(SCORE_KEY), ERROR_KEY: chosen.get(ERROR_KEY)}
    points: dict[str, StartingPoint] = {}
    for entry in candidates:
        # without a score or an earlier version, its parameters are merely those of the start
        if _number(entry.get(SCORE_KEY)) is None and _number(entry.get(VERSION_KEY)) is None:
            continue
        for model in (entry, *(_list(_mapping(entry.get("parameters")).get("parts")))):
            _add_point(points, _mapping(model), entry.get(SERVING_KEY), spaces)
    # versions without candidates: those of a shop too small to choose on, or published by an early release
    for model in ({"algorithm": algorithm, "parameters": stored, **stored}, *_list(stored.get("parts"))):
        without_unit = _mapping(stored.get(SERVING_KEY))
        without_unit.pop("repeat_weight", None)
        _add_point(points, _mapping(model), without_unit, spaces)
    return ActiveVersion(
        version,
        algorithm,
        model_parameters,
        weighting,
        formula,
        has_units,
        points,
        others,
        _number(newest.get(SCORE_KEY)),
        _number(newest.get(ERROR_KEY)),
        has_moved=not FORMULA.keys() <= _mapping(stored.get(SERVING_KEY)).keys(),
    )


def _read_model(
    algorithm: str, stored: Mapping[str, Any], spaces: Mapping[str, Space]
) -> tuple[dict[str, Any], Weighting] | None:
    """Return the parameters and the weighting of a model, with exactly the stored values; None if it cannot be fitted.

    A parameter that this release does not know is left out; one that is missing takes the value of the start.
    """
    weighting = Weighting(**asdict(Weighting()) | exact_values(WEIGHTING, _mapping(stored.get("weighting"))))
    if algorithm != MIXTURE:
        if algorithm not in spaces:
            return None
        space = spaces[algorithm]
        return dict(space.start) | exact_values(space.values, stored), weighting
    parts = []
    for entry in map(_mapping, _list(stored.get("parts"))):
        name, share = entry.get("algorithm"), _number(entry.get("share"))
        if not isinstance(name, str) or name not in spaces or share is None or share <= 0:
            return None
        part_parameters = _mapping(entry.get("parameters")) | {"weighting": entry.get("weighting")}
        read = _read_model(name, part_parameters, spaces)
        if read is None:
            return None
        parts.append(part(name, *read, share))
    return ({"parts": parts}, weighting) if parts else None


def _add_point(
    points: dict[str, StartingPoint], model: Mapping[str, Any], serving: Any, spaces: Mapping[str, Space]
) -> None:
    """Add the point of one model, unless its algorithm has one already: candidates come best first."""
    algorithm = model.get("algorithm")
    if not isinstance(algorithm, str) or algorithm not in spaces or algorithm in points:
        return
    space = spaces[algorithm]
    parameters = dict(space.start) | nearest_values(space.values, _mapping(model.get("parameters")))
    weighting = asdict(Weighting()) | nearest_values(WEIGHTING, _mapping(model.get("weighting")))
    points[algorithm] = StartingPoint(
        parameters,
        Weighting(**weighting),
        nearest_values(FORMULA, _mapping(serving)) | _policy(serving),
        frozenset(_steps(model.get(FAILED_STEPS_KEY), space.values, WEIGHTING)),
        SCORE_KEY not in model or _number(model[SCORE_KEY]) is not None,
    )


def nearest_values(values: Values, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value in the space nearest to each stored parameter's; those without a counterpart are left out."""
    nearest = {name: _nearest(stored[name], options) for name, options in values.items() if name in stored}
    return {name: value for name, value in nearest.items() if value is not NO_VALUE}


def exact_values(values: Values, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored value of each parameter of the space; those of a type that the space lacks are left out."""
    exact = {name: _exact(stored[name], options) for name, options in values.items() if name in stored}
    return {name: value for name, value in exact.items() if value is not NO_VALUE}


def _nearest(value: Any, options: Sequence[Any]) -> Any:
    if value is None or isinstance(value, str):
        return value if value in options else NO_VALUE
    number, numbers = _number(value), [option for option in options if _number(option) is not None]
    if number is None or not numbers:
        return NO_VALUE
    return min(numbers, key=lambda option: abs(option - number))


def _exact(value: Any, options: Sequence[Any]) -> Any:
    if value is None or isinstance(value, str):
        return value if value in options else NO_VALUE
    number, numbers = _number(value), [option for option in options if _number(option) is not None]
    if number is None or not numbers or number < 0 or (number == 0 and min(numbers) > 0):
        return NO_VALUE
    return round(number) if all(isinstance(option, int) for option in numbers) else number


def _formula(stored: Any) -> Formula:
    """Return the formula that a version stores, within what serving accepts."""
    serving = _mapping(stored)
    formula = replace(Formula(), **exact_values(FORMULA, serving) | _policy(serving))
    return formula.with_(
        profile_events=min(formula.profile_events, PROFILE_EVENTS_MAX), rank_decay=min(formula.rank_decay, 1.0)
    )


def _policy(stored: Any) -> dict[str, ExclusionPolicy]:
    """Return the exclusion policy that a version stores, under the name of the formula's parameter; empty if none."""
    unknown: ExclusionPolicy = "unmet"
    policy = Formula.from_parameters(
        {name: value for name, value in _mapping(stored).items() if isinstance(value, str)},
        Formula(exclusion_policy=unknown),
    ).exclusion_policy
    return {} if policy == unknown else {"exclusion_policy": policy}


def _steps(stored: Any, *spaces: Values) -> list[Step]:
    """Return the stored steps to values that are in one of the spaces."""
    pairs = [entry for entry in _list(stored) if isinstance(entry, list) and len(entry) == 2]
    return [
        (name, value)
        for name, value in pairs
        if isinstance(name, str) and any(value in space.get(name, ()) for space in spaces)
    ]


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | int | None:
    """Return the value if it is a finite number; None for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return value
