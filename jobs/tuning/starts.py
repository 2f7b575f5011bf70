"""Where tuning starts, and the single steps that it takes from there."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jobs.tuning.objective import Objective
from jobs.tuning.space import FORMULA, PRIOR_EVIDENCES, WEIGHTING, Values
from shared.domain.formula import (
    POPULARITY_DISCOUNT,
    PRIOR_EVIDENCE,
    PROFILE_EVENTS_MAX,
    SHORT_PROFILE_FIT,
    TRENDING_WINDOWS,
    Formula,
    TrendingWindow,
)

# The index of the personal formula among the starts to try, the first of which is the trial's own formula.
PERSONAL_START: Final = 1


def starting_formula(objective: Objective) -> Formula:
    """Return the formula that the search starts from; the purpose of the answers decides what is excluded."""
    shows_known = objective.repeats != "exclude"
    return Formula(
        weight_power=0.5,
        blend=0.8 if objective.has_taste() else 1.0,
        trending_prior=0.03,
        trending_window="30d",
        repeat_weight=3.0 if shows_known else 0.0,
        exclusion_policy=objective.policies[0],
        prior_evidence=PRIOR_EVIDENCE if objective.weighs_lengths else None,
        popularity_discount=POPULARITY_DISCOUNT if objective.is_for_visitors else 0.0,
        short_profile_fit=SHORT_PROFILE_FIT if objective.is_for_visitors and objective.has_taste() else 0.0,
    )


def other_starts(objective: Objective, formula: Formula) -> list[Formula]:
    """Return formulae that single steps from ``formula`` would not reach.

    The first, the personal one, ranks by long profiles alone and counts repeated events. The second gives popularity as
    much influence as is allowed. The third gives most influence to the user's latest events. The fourth, where products
    have categories, brands or tags, ranks by popularity among the products that share those of the user's profile.
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
    starts = [personal, popular, latest]
    if objective.has_taste():
        window: TrendingWindow = "all" if objective.has_only_purchases else "engagement"
        starts.append(formula.with_(blend=0.3, taste="profile", affinity_trend=10.0, trending_window=window))
    return starts


def formula_values(objective: Objective) -> Values:
    """Return the formula's parameters that can make a difference on these splits, with the values to try."""
    values = {"exclusion_policy": objective.policies, **FORMULA}
    fixed: set[str] = set()
    if objective.new_only:
        fixed |= {"repeat_weight"}
    if objective.repeats == "only":
        fixed |= {"lasting_discount"}
    if not objective.has_taste():
        fixed |= {"blend", "taste", "affinity_trend", "short_profile_fit"}
    if objective.has_one_weight:
        fixed |= {"weight_power"}
    if objective.has_only_purchases:
        # it would rank like "all"
        values["trending_window"] = [window for window in TRENDING_WINDOWS if window != "engagement"]
    if objective.weighs_lengths:
        values["prior_evidence"] = PRIOR_EVIDENCES
    if not objective.is_for_visitors:
        fixed |= {"popularity_discount", "short_profile_fit"}
    return {name: options for name, options in values.items() if name not in fixed}


def weighting_values(objective: Objective) -> Values:
    """Return the weighting's parameters that can make a difference on these splits, with the values to try."""
    return {
        name: values for name, values in WEIGHTING.items() if not (objective.has_one_weight and name == "weight_power")
    }


def single_steps(values: Values, current: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield changes of one parameter: to values up to two places away, or to any other value if they are strings."""
    for name, options in values.items():
        if any(isinstance(option, str) for option in options):
            yield from ((name, option) for option in options if option != current[name])
            continue
        at = options.index(current[name]) if current[name] in options else 0
        # far steps first: the values next to the best one are tried last
        for place in (at + 2, at - 2, at + 1, at - 1):
            if 0 <= place < len(options):
                yield name, options[place]
