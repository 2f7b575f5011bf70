"""The serving formula: its parameters, limits and constants, each in this module only.

A user's profile holds the products i of their latest ``profile_events`` events, at most PROFILE_EVENTS_MAX, each with

    w_i = (greatest event weight)^weight_power · (number of events)^frequency_power · rank_decay^(rank − 1)
          · 2^(−age / half_life_days)

where the rank counts from the product met last and is capped at RANK_MAX, and the age is in days before the user's
newest event. From the profile and the neighbours of the active model comes each product's collaborative score,

    cf(j) = Σ_i w_i · similarity(i, j) + repeat_weight · w_j

and a candidate's score is

    b · own / max own + (1 − b) · fit / max fit + prior · trend / max trend

where, with n products in the profile,

    short = min(1, SHORT_PROFILE / n)
    own(j) = cf(j) / (POPULARITY_FLOOR + bought(j) / max bought)^max(popularity_discount · short, lasting_discount)
    fit(j) = affinity(j) · (1 + affinity_trend · trend(j) / max trend)
    b = min(blend, 1 − short_profile_fit · short), or blend where no candidate fits
    prior = trending_prior · prior_evidence / (prior_evidence + n)

``bought`` is the number of purchases ever, or the trend where none of the candidates was bought. The more is known of a
visitor, the less popularity counts (``prior``). The neighbours of few products are mostly popular ones, so a short
profile discounts neighbours by their popularity (``own``), and gives products of the same kind a share (``b``). Where
neighbours of any profile are mostly what sold well long ago, the discount lasts (``lasting_discount``).

``affinity`` in shared/domain/ranking.py says how well a product fits the user's taste. Maxima are over the candidates
of one user, without those that return (VIEWED_TIER, BOUGHT_TIER).

A request says which of the products that the user knows it wants (``Repeats``), and a model version has a formula for
each of these, whose exclusion policy says which products are left out. If fewer remain than requested, known products
return: with "exclude" those viewed lately and then those bought, each from the one met longest ago; with "only" all,
from the one met last.

Two implementations import this module: what serves, the statements of
shared/storage/recommending/candidate_statements.py with ``rank`` of shared/domain/ranking.py; and what tunes and
evaluates, jobs/offline over arrays. The test tests/integration/test_serving_formula.py compares their answers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from shared.domain.events import EVENT_WEIGHTS, EventType

# The products that are left out: none; those bought, and those viewed in the last RECENT_MINUTES; all that the user met
# (by any event); or all others.
ExclusionPolicy = Literal["nothing", "bought", "seen", "unmet"]
# Which of the products that the user knows an answer has: none, all that are good enough, or no other products.
Repeats = Literal["exclude", "include", "only"]
TrendingWindow = Literal["7d", "30d", "all"]

EXCLUSION_POLICIES: Final[tuple[ExclusionPolicy, ...]] = ("nothing", "bought", "seen", "unmet")
# The policies that a formula may have, by the repeats that it serves; the first is the default.
REPEATS_POLICIES: Final[Mapping[Repeats, tuple[ExclusionPolicy, ...]]] = {
    "exclude": ("bought", "seen"),
    "include": ("nothing",),
    "only": ("unmet",),
}
# The key of ``models.parameters`` that holds each formula. A version without it is served with that of ``serving``.
SERVING_KEY: Final = "serving"
SERVING_KEYS: Final[Mapping[Repeats, str]] = {
    "exclude": SERVING_KEY,
    "include": "serving_include",
    "only": "serving_only",
}
TRENDING_WINDOWS: Final[tuple[TrendingWindow, ...]] = ("7d", "30d", "all")

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

# Events of the longest profile, whatever the model says: bounds the time of the statement.
PROFILE_EVENTS_MAX: Final = 200
# Ranks beyond this one decay no further: rank_decay to a higher power would underflow, on which Postgres raises.
RANK_MAX: Final = 500
# Ages beyond this number of half-lives decay no further, for the same reason.
HALVINGS_MAX: Final = 200
# Latest events whose products the policy "seen" excludes. Bought products are excluded whatever their age.
SEEN_EVENTS_MAX: Final = 1_000
# Minutes for which a product that the user viewed is not shown again.
RECENT_MINUTES: Final = 30
# Events of this weight are views: those of product pages, and clicks on recommendations.
VIEW_WEIGHT: Final = EVENT_WEIGHTS[EventType.VIEW]
# ``prior_evidence`` where tuning begins and in a shop too small to tune: after the first view, a visitor's list follows
# the visitor. Model versions that give none keep the whole prior, as they were tuned.
PRIOR_EVIDENCE: Final = 0.3
# Profiles of up to so many products are short: what a list owes to them counts in full, and less with each further one.
SHORT_PROFILE: Final = 3
# Added to shares of the greatest number of purchases: below it, differences in popularity say little.
POPULARITY_FLOOR: Final = 0.1
# ``popularity_discount`` where tuning begins and in a shop too small to tune. Model versions that give none are served
# without it, as they were tuned.
POPULARITY_DISCOUNT: Final = 0.5
# ``short_profile_fit`` likewise, in a shop whose catalog knows a category, brand or tag.
SHORT_PROFILE_FIT: Final = 0.7
# The greatest weight of the trend after a visitor's first view, beside at most 1 of what follows from the view, that
# tuning may choose for visitors. It is a promise to them, not an optimum: a list that repeats what everybody sees would
# be right more often, and show nothing of the visit.
FIRST_VIEW_PRIOR_MAX: Final = 0.3

# Candidates ----------------------------------------------------------------------------------------------------------

# Tiers of candidates. Profile or taste suggests those of the first; fillers complete the answer in this order. The last
# two are known products that return where an answer would be too short without them, in the order of their positions.
SUGGESTED_TIER: Final = 0
TRENDING_TIER: Final = 1
POPULAR_TIER: Final = 2
NEWEST_TIER: Final = 3
VIEWED_TIER: Final = 4
BOUGHT_TIER: Final = 5
# Candidates with the greatest cf, beyond the k of the answer.
CANDIDATES_BY_PROFILE: Final = 100
# Trending candidates from the user's favourite categories, beyond the k of the answer.
CANDIDATES_BY_TASTE: Final = 40
# Categories of the greatest preference score that count as favourites.
FAVOURITE_CATEGORIES: Final = 3
# The trending window that ranks the products of favourite categories.
TASTE_WINDOW: Final[TrendingWindow] = "30d"
# Trending fillers come from the window of the formula, and from this one where that is "all".
FILLER_WINDOW: Final[TrendingWindow] = "7d"
# A filler, which neither profile nor taste suggests, scores this times trend / max trend: below what they suggest.
FILLER_SCORE: Final = 0.1

# Affinity and nearness -----------------------------------------------------------------------------------------------

# Contribution of each kind of preference to affinity. Tags contribute less than a category: a product has several.
KIND_WEIGHTS: Final[Mapping[str, float]] = {"category": 1.0, "brand": 0.5, "tag": 0.5}
# The least deviation of log price that a price band has, a factor of 1.6: a single purchase says little about others.
PRICE_DEVIATION_MIN: Final = 0.5
# The factor that a price far outside the user's band keeps of affinity; a price at its mean keeps all.
PRICE_FACTOR_MIN: Final = 0.5
# The factor that a product far from the user keeps of its score; a product at the user's place keeps all.
NEARNESS_MIN: Final = 0.5
# Distance, in km, at which the bonus for nearness is halved; the setting DISTANCE_HALF_KM overrides it.
NEARNESS_HALF_KM: Final = 50.0


@dataclass(frozen=True)
class Formula:
    """The parameters of the serving formula: a model version stores them, tuning varies them.

    Attributes
    ----------
    profile_events : latest events that make a profile, in [1, PROFILE_EVENTS_MAX].
    rank_decay : factor per rank in the profile, in (0, 1]; 1 weighs all ranks alike.
    half_life_days : days after which a product of the profile weighs half, above 0; None for no decay by age.
    weight_power : exponent of the event weights, in [0, 1]; 0 weighs all event types alike.
    frequency_power : exponent of the number of events with a product, in [0, 1]; 0 ignores repeated events.
    repeat_weight : how strongly a product of the profile suggests itself, at least 0, in units of similarity.
    blend : share of the collaborative score in what it shares with the fit to the user's taste, in [0, 1].
    trending_prior : weight of the trend beside those two, at least 0.
    affinity_trend : how much the trend raises the fit to the user's taste, at least 0.
    trending_window : scores that count as trend: of 7 or 30 days, or "all", the number of purchases ever.
    exclusion_policy : products that are left out, see ``ExclusionPolicy``.
    prior_evidence : products in the profile that halve the prior, above 0; None for a prior that never shrinks.
    popularity_discount : how much popularity reduces what a short profile suggests, at least 0; 1 divides by it.
    short_profile_fit : least share of the fit to the user's taste with a short profile, in [0, 1].
    lasting_discount : least power by which popularity divides, however long the profile, at least 0.
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

    @classmethod
    def of_version(
        cls, parameters: Mapping[str, Any] | None, repeats: Repeats, defaults: "Formula | None" = None
    ) -> "Formula":
        """Return the formula with which a model version of these ``parameters`` answers a request.

        A version of an earlier release has one formula for all requests.
        """
        stored = parameters or {}
        return cls.from_parameters(stored.get(SERVING_KEYS[repeats]) or stored.get(SERVING_KEY), defaults).for_repeats(
            repeats
        )

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any] | None, defaults: "Formula | None" = None) -> "Formula":
        """Return the formula that a model version stores under ``parameters.serving``.

        A missing or null key takes its value from ``defaults``, and so does an unknown policy; an unknown key is
        ignored: a version published by an earlier or a later release can be served.
        """
        stored = {key: value for key, value in (parameters or {}).items() if value is not None}
        values = {name: stored[name] for name in _KEYS if name in stored}
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
        """Return the formula with a policy that these repeats allow: its own, or else their default."""
        policies = REPEATS_POLICIES[repeats]
        return self if self.exclusion_policy in policies else self.with_(exclusion_policy=policies[0])

    def prior_share(self, n_products: int) -> float:
        """Return the share of the prior that remains for a profile of this many products, in (0, 1]."""
        if self.prior_evidence is None:
            return 1.0
        return self.prior_evidence / (self.prior_evidence + n_products)

    def discount_power(self, n_products: int) -> float:
        """Return the power by which popularity divides, for a profile of this many products."""
        short = min(1.0, SHORT_PROFILE / max(n_products, 1))
        return max(self.popularity_discount * short, self.lasting_discount)

    def blend_for(self, n_products: int) -> float:
        """Return the share of the collaborative score beside some fit, for a profile of this many products."""
        return min(self.blend, 1.0 - self.short_profile_fit * min(1.0, SHORT_PROFILE / max(n_products, 1)))

    def in_scores_of(self, mean_score: float) -> "Formula":
        """Return the formula with ``repeat_weight`` in units of similarity, given in units of the mean score.

        Tuning uses the latter: the greatest score of every model is 1, and how large the others are beside it differs
        between models, and between a fit before a cut and a fit on the whole history.
        """
        return self.with_(repeat_weight=self.repeat_weight * mean_score)


# stored under their own names
_KEYS: Final = tuple(name for name in Formula.__dataclass_fields__ if name != "exclusion_policy")
