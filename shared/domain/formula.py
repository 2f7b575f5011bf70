"""The serving formula: its parameters, limits and constants, which are defined only here.

A user's profile holds the products i of their latest ``profile_events`` events, at most PROFILE_EVENTS_MAX, each with

    w_i = (greatest event weight)^weight_power · (number of events)^frequency_power · rank_decay^(rank − 1)
          · 2^(−age / half_life_days)

where the rank counts from the product of the latest interaction and is capped at RANK_MAX, and the age is in days
before the user's newest event. The profile and the active model's neighbours give each product's collaborative score,

    cf(j) = Σ_i w_i · similarity(i, j) + repeat_weight · w_j

and a candidate's score is

    b · own / max own + (1 − b) · fit / max fit + prior · trend / max trend

where, with n products in the profile,

    short = min(1, SHORT_PROFILE / n)
    own(j) = cf(j) / (POPULARITY_FLOOR + bought(j) / max bought)^max(popularity_discount · short, lasting_discount)
    fit(j) = affinity(j) · (1 + affinity_trend · trend(j) / max trend)
    b = min(blend, 1 − short_profile_fit · short), or blend where no candidate fits
    prior = trending_prior · prior_evidence / (prior_evidence + n)

``bought`` is the number of purchases ever, or the trend if none of the candidates was ever bought. The more is known
about a visitor, the less popularity counts (``prior``). The neighbours of a few products are mostly popular ones, so
with a short profile neighbours are discounted by their popularity (``own``) and products of the same kind get a share
(``b``). If the neighbours of every profile are mostly past bestsellers, the discount also applies to long profiles
(``lasting_discount``).

``affinity`` in shared/domain/ranking.py measures how well a product fits the user's taste: the shares of categories,
brands and tags, and the band of prices, either in the user's preferences or, with the weights w_i, in the profile
(``taste``). Favourite categories, which add candidates, are always those of the preferences. Maxima are over one user's
candidates, excluding known products that return (VIEWED_TIER, BOUGHT_TIER).

A request states which of the products known to the user it wants (``Repeats``). A model version has a formula for each
of these values, whose exclusion policy determines which products are left out. If fewer remain than requested, known
products return: with "exclude", those recently viewed and then those bought, each from the least recent interaction;
with "only", all of them, from the most recent.

Two implementations import this module. Serving uses the statements of
shared/storage/recommending/candidate_statements.py with ``rank`` of shared/domain/ranking.py; tuning and evaluation use
jobs/offline, over arrays. The test tests/integration/test_serving_formula.py compares their results.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.domain.trending import WINDOWS, WindowName

# The products that are left out: none; those bought, and those viewed in the last RECENT_MINUTES; all that the user has
# interacted with; or all that the user has not interacted with.
ExclusionPolicy = Literal["nothing", "bought", "seen", "unmet"]
# Which products known to the user a list contains: none; any that score well enough; or no other products.
Repeats = Literal["exclude", "include", "only"]
TrendingWindow = WindowName | Literal["all", "engagement"]
# Where a user's taste comes from: their stored preferences, or the products in their profile.
TasteSource = Literal["preferences", "profile"]

EXCLUSION_POLICIES: Final[tuple[ExclusionPolicy, ...]] = ("nothing", "bought", "seen", "unmet")
# The policies that a formula may have, by the value of ``Repeats`` that it serves; the first is the default.
REPEATS_POLICIES: Final[Mapping[Repeats, tuple[ExclusionPolicy, ...]]] = {
    "exclude": ("bought", "seen"),
    "include": ("nothing",),
    "only": ("unmet",),
}
# The key in ``models.parameters`` that holds each formula. A version without it is served with that of ``serving``.
SERVING_KEY: Final = "serving"
SERVING_KEYS: Final[Mapping[Repeats, str]] = {
    "exclude": SERVING_KEY,
    "include": "serving_include",
    "only": "serving_only",
}
SCORED_WINDOWS: Final[tuple[TrendingWindow, ...]] = tuple(window.name for window in WINDOWS)
TRENDING_WINDOWS: Final[tuple[TrendingWindow, ...]] = (*SCORED_WINDOWS, "all", "engagement")
TASTE_SOURCES: Final[tuple[TasteSource, ...]] = ("preferences", "profile")

# Model versions store an exclusion policy under the key ``returning``, as the products that may return.
EXCLUSION_POLICY_KEY: Final = "returning"
STORED_EXCLUSION_POLICY: Final[Mapping[ExclusionPolicy, str]] = {
    "nothing": "all",
    "bought": "unbought",
    "seen": "unseen",
    "unmet": "met",
}
_EXCLUSION_POLICY_BY_STORED: Final[Mapping[str, ExclusionPolicy]] = {
    stored: policy for policy, stored in STORED_EXCLUSION_POLICY.items()
}

# Profile -------------------------------------------------------------------------------------------------------------

# Maximum events in a profile, whatever the model version says; this limits the statement's run time.
PROFILE_EVENTS_MAX: Final = 200
# Ranks beyond this one decay no further: rank_decay to a higher power, times the decay by age, would underflow, which
# is an error in PostgreSQL. No profile has so many products.
RANK_MAX: Final = 300
# Ages beyond this number of half-lives decay no further, for the same reason.
HALVINGS_MAX: Final = 200
# How many of the latest events the policy "seen" considers. Bought products are excluded regardless of age.
SEEN_EVENTS_MAX: Final = 1_000
# Minutes for which a product that the user has viewed is not shown again.
RECENT_MINUTES: Final = 30
# Events of this weight count as views: product page views and clicks on recommendations.
VIEW_WEIGHT: Final = EVENT_WEIGHTS[EventType.VIEW]
# Events of this weight are purchases.
PURCHASE_WEIGHT: Final = EVENT_WEIGHTS[EventType.PURCHASE]
# The initial ``prior_evidence`` for tuning, and its value in a shop too small to tune: from the first view on, a list
# follows the visitor. Model versions without the parameter keep the full prior, as they were tuned.
PRIOR_EVIDENCE: Final = 0.3
# Profiles of up to this many products are short: the adjustments for short profiles apply in full, and less with each
# further product.
SHORT_PROFILE: Final = 3
# Added to a product's share of the maximum number of purchases, since differences in popularity below it mean little.
POPULARITY_FLOOR: Final = 0.1
# The initial ``popularity_discount`` for tuning, and its value in a shop too small to tune. Model versions without the
# parameter are served without a discount, as they were tuned.
POPULARITY_DISCOUNT: Final = 0.5
# Likewise for ``short_profile_fit``, in a shop whose catalog has categories, brands or tags.
SHORT_PROFILE_FIT: Final = 0.7
# The greatest weight that tuning may give the trend after a visitor's first view, compared with at most 1 for what
# follows from the view. This is a promise to visitors, not an optimum: a list that repeats what everybody sees would be
# right more often, but would not reflect the visit.
FIRST_VIEW_PRIOR_MAX: Final = 0.3

# Candidates ----------------------------------------------------------------------------------------------------------

# Tiers of candidates. Those of the first are suggested by profile or taste; fillers complete the list in tier order.
# The last two are known products that return if the list would otherwise be too short, in the order of their positions.
SUGGESTED_TIER: Final = 0
TRENDING_TIER: Final = 1
POPULAR_TIER: Final = 2
NEWEST_TIER: Final = 3
VIEWED_TIER: Final = 4
BOUGHT_TIER: Final = 5
# Candidates with the greatest cf, in addition to the requested k.
CANDIDATES_BY_PROFILE: Final = 100
# Trending candidates from the user's favourite categories, in addition to the requested k.
CANDIDATES_BY_TASTE: Final = 40
# How many categories, those with the greatest preference scores, count as favourites.
FAVOURITE_CATEGORIES: Final = 3
# The trending window that ranks the products of favourite categories.
TASTE_WINDOW: Final[TrendingWindow] = "30d"
# Trending fillers come from the formula's window, or from this one if that counts events of any age.
FILLER_WINDOW: Final[TrendingWindow] = "7d"
# A filler, suggested by neither profile nor taste, scores this times trend / max trend, which is below suggestions.
FILLER_SCORE: Final = 0.1

# Affinity and nearness -----------------------------------------------------------------------------------------------

# Weight of each kind of preference in affinity. Tags weigh less than a category because a product has several.
KIND_WEIGHTS: Final[Mapping[str, float]] = {"category": 1.0, "brand": 0.5, "tag": 0.5}
# Minimum standard deviation of log price in a price band, a factor of 1.6, since a single purchase says little.
PRICE_DEVIATION_MIN: Final = 0.5
# The share of affinity that a product priced far outside the user's band keeps; at the band's mean it keeps all.
PRICE_FACTOR_MIN: Final = 0.5
# The share of its score that a product far from the user keeps; a product at the user's location keeps all.
NEARNESS_MIN: Final = 0.5
# Distance, in km, at which the bonus for nearness is halved; the setting DISTANCE_HALF_KM overrides it.
NEARNESS_HALF_KM: Final = 50.0


@dataclass(frozen=True)
class Formula:
    """The parameters of the serving formula. A model version stores them; tuning varies them.

    Attributes
    ----------
    profile_events : number of latest events that form a profile, in [1, PROFILE_EVENTS_MAX].
    rank_decay : factor per rank in the profile, in (0, 1]; 1 weighs all ranks alike.
    half_life_days : days after which a product in the profile has half its weight, above 0; None for no decay by age.
    weight_power : exponent of the event weights, in [0, 1]; 0 weighs all event types alike.
    frequency_power : exponent of the number of events with a product, in [0, 1]; 0 ignores repeated events.
    repeat_weight : how strongly a product in the profile suggests itself, at least 0, in units of similarity.
    blend : share of the collaborative score as opposed to the fit to the user's taste, in [0, 1].
    trending_prior : weight of the trend in addition to those two, at least 0.
    affinity_trend : how much the trend raises the fit to the user's taste, at least 0.
    trending_window : the scores used as trend: those of 7 or 30 days; "all" for the number of purchases ever; or
        "engagement" for the views and purchases ever, a purchase counting as five views. Tuning counts clicks on
        recommendations as views, which serving does not, and only the events of the history that it reads.
    exclusion_policy : products that are left out, see ``ExclusionPolicy``.
    prior_evidence : products in the profile that halve the prior, above 0; None for a prior that never shrinks.
    popularity_discount : power of the popularity by which scores are divided with a short profile, at least 0.
    short_profile_fit : minimum share of the fit to the user's taste with a short profile, in [0, 1].
    lasting_discount : minimum power of the popularity by which scores are divided, for any profile, at least 0.
    taste : the source of the taste that products are compared with: "preferences", which halve in 14 days, or the
        products in the "profile", with their weights w.
    """

    profile_events: int = 50
    rank_decay: float = 1.0
    half_life_days: float | None = None
    weight_power: float = 1.0
    frequency_power: float = 0.0
    repeat_weight: float = 0.0
    blend: float = 0.6
    trending_prior: float = 0.0
    affinity_trend: float = 1.0
    trending_window: TrendingWindow = "7d"
    exclusion_policy: ExclusionPolicy = "bought"
    prior_evidence: float | None = None
    popularity_discount: float = 0.0
    short_profile_fit: float = 0.0
    lasting_discount: float = 0.0
    taste: TasteSource = "preferences"

    @classmethod
    def of_version(
        cls, parameters: Mapping[str, Any] | None, repeats: Repeats, defaults: "Formula | None" = None
    ) -> "Formula":
        """Return the formula with which a model version with these ``parameters`` answers a request.

        A version of an earlier release has one formula for all requests.
        """
        stored = parameters or {}
        return cls.from_parameters(stored.get(SERVING_KEYS[repeats]) or stored.get(SERVING_KEY), defaults).for_repeats(
            repeats
        )

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any] | None, defaults: "Formula | None" = None) -> "Formula":
        """Return the formula that a model version stores under ``parameters.serving``.

        A missing or null key and an unknown policy, taste or window take their value from ``defaults``; unknown keys
        are ignored. So a version published by an earlier or a later release can be served.
        """
        stored = {key: value for key, value in (parameters or {}).items() if value is not None}
        values = {name: stored[name] for name in _KEYS if name in stored}
        for name, options in CHOICES.items():
            if values.get(name) not in options:
                values.pop(name, None)
        policy = _EXCLUSION_POLICY_BY_STORED.get(stored.get(EXCLUSION_POLICY_KEY, ""))
        if policy is not None:
            values["exclusion_policy"] = policy
        return replace(defaults or cls(), **values)

    def parameters(self) -> dict[str, Any]:
        """Return the JSON object that a model version stores under ``parameters.serving``."""
        values = asdict(self)
        policy: ExclusionPolicy = values.pop("exclusion_policy")
        return {**values, EXCLUSION_POLICY_KEY: STORED_EXCLUSION_POLICY[policy]}

    def with_(self, **changes: Any) -> "Formula":
        """Return the formula with some parameters changed."""
        return replace(self, **changes)

    def for_repeats(self, repeats: Repeats) -> "Formula":
        """Return the formula with a policy permitted for ``repeats``: its own, or else the default."""
        policies = REPEATS_POLICIES[repeats]
        return self if self.exclusion_policy in policies else self.with_(exclusion_policy=policies[0])

    def prior_share(self, n_products: int) -> float:
        """Return the share of the prior that remains for a profile of this many products, in (0, 1]."""
        if self.prior_evidence is None:
            return 1.0
        return self.prior_evidence / (self.prior_evidence + n_products)

    def discount_power(self, n_products: int) -> float:
        """Return the power of the popularity by which scores are divided, for a profile of this many products."""
        short = min(1.0, SHORT_PROFILE / max(n_products, 1))
        return max(self.popularity_discount * short, self.lasting_discount)

    def blend_for(self, n_products: int) -> float:
        """Return the share of the collaborative score if some candidate fits, for a profile of this many products."""
        return min(self.blend, 1.0 - self.short_profile_fit * min(1.0, SHORT_PROFILE / max(n_products, 1)))

    def in_scores_of(self, mean_score: float) -> "Formula":
        """Return the formula with ``repeat_weight`` converted from units of the mean score to units of similarity.

        Tuning uses units of the mean score: the greatest score of every model is 1, but how large the others are
        relative to it differs between models, and between a fit before a cut and a fit on the whole history.
        """
        return self.with_(repeat_weight=self.repeat_weight * mean_score)


# The parameters that are stored under their own names and have one of these values.
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"trending_window": TRENDING_WINDOWS, "taste": TASTE_SOURCES}
# The parameters that are stored under their own names.
_KEYS: Final = tuple(name for name in Formula.__dataclass_fields__ if name != "exclusion_policy")
