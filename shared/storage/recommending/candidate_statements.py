"""The statements that read one user's candidates, by kind of request.

They compute the formula of shared/domain/formula.py, with its limits and constants.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Final, NamedTuple

from shared.domain.content import CLEAR_CONTENT, CONTENT_NEIGHBOURS, PROFILE_PRODUCTS
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.formula import (
    BOUGHT_TIER,
    CANDIDATES_BY_PROFILE,
    CANDIDATES_BY_TASTE,
    CHOICES,
    EXCLUSION_POLICY_KEY,
    FAVOURITE_CATEGORIES,
    FILLER_WINDOW,
    HALVINGS_MAX,
    NEWEST_TIER,
    POPULAR_TIER,
    PROFILE_EVENTS_MAX,
    PURCHASE_WEIGHT,
    RANK_MAX,
    RECENT_MINUTES,
    SCORED_WINDOWS,
    SEEN_EVENTS_MAX,
    SERVING_KEY,
    SERVING_KEYS,
    STORED_EXCLUSION_POLICY,
    SUGGESTED_TIER,
    TASTE_WINDOW,
    TRENDING_TIER,
    VIEW_WEIGHT,
    VIEWED_TIER,
    Formula,
    Repeats,
)
from shared.storage.catalog.categories import SUBTREE, in_subtree
from shared.storage.catalog.variants import GROUP_KEY
from shared.storage.events.decayed_sums import FACETS
from shared.storage.events.refunds import GIVEN_BACK_WHOLE
from shared.storage.recommending import candidate_fragments as fragments
from shared.storage.recommending.buy_again import GIVEN_BACK

# There is one statement for lists of up to each of these sizes. Filters and limits are part of the text instead of
# parameters, so that the prepared plan is as good as a fresh one; planning takes longer than execution.
ANSWER_SIZES: Final = (20, 100)
# Filters drop most candidates from favourite categories after selection, so this many times as many are read.
FILTERED_CANDIDATES_FACTOR: Final = 4
# Maximum number of products that an explanation lists in addition to the candidates.
LEFT_OUT_MAX: Final = 200


def _parameter_columns() -> str:
    """Return the columns of the active model's formula, with defaults for parameters that the model lacks.

    A choice that this release does not know, one of a later release, becomes the default as well. The exclusion policy
    keeps its stored value.
    """
    defaults = Formula().parameters()
    columns = []
    for parameter in fields(Formula):
        key = EXCLUSION_POLICY_KEY if parameter.name == "exclusion_policy" else parameter.name
        stored, default = f"serving ->> '{key}'", defaults[key]
        if parameter.name == "profile_events":
            # the shop's own setting is the default
            column = f"least({PROFILE_EVENTS_MAX}, coalesce(({stored})::int, :profile_events))"
        elif parameter.name in CHOICES:
            options = ", ".join(f"'{option}'" for option in CHOICES[parameter.name])
            column = f"CASE WHEN {stored} IN ({options}) THEN {stored} ELSE '{default}' END"
        elif isinstance(default, str):
            column = f"coalesce({stored}, '{default}')"
        else:
            column = f"coalesce(({stored})::float8, {'NULL' if default is None else default})"
        columns.append(f"{column} AS {parameter.name}")
    return ",\n           ".join(columns)


class _Parts(NamedTuple):
    """The parts in which the statements for the three values of ``Repeats`` differ."""

    known: str
    may_return: str
    fillers: str
    filled: str
    in_stead: str
    returned: str
    candidates: str
    # Only for explanations.
    known_reasons: str
    variants_known: str
    pool_known: str


_PARTS: Final[Mapping[Repeats, _Parts]] = {
    "exclude": _Parts(
        known=fragments.MET.replace("{since}", fragments.SINCE) + fragments.EXCLUDED,
        may_return="totals.id NOT IN (SELECT product_id FROM excluded)",
        fillers=fragments.FILLERS,
        filled=fragments.FILLED,
        in_stead=fragments.IN_STEAD,
        # The least recent interaction first.
        returned=fragments.RETURNED.replace("{order}", "known.tier, known.at, p.id"),
        candidates=fragments.SHOWN_AND_RETURNED,
        known_reasons=fragments.BOUGHT_OR_VIEWED,
        variants_known="UNION SELECT product_id FROM known",
        pool_known=fragments.POOL_KNOWN,
    ),
    "include": _Parts(
        known="",
        may_return="totals.id NOT IN (SELECT product_id FROM forbidden)",
        fillers=fragments.FILLERS.replace("{better_variant}", fragments.BETTER_VARIANT).replace(
            "FROM excluded", "FROM forbidden"
        ),
        filled=fragments.FILLED,
        in_stead=fragments.IN_STEAD.replace("FROM excluded", "FROM forbidden"),
        returned="",
        candidates="shown",
        known_reasons="",
        variants_known="",
        pool_known="",
    ),
    "only": _Parts(
        known=fragments.MET.replace("{since}", ""),
        may_return="""totals.id NOT IN (SELECT product_id FROM forbidden)
      AND totals.id IN (SELECT product_id FROM met UNION SELECT product_id FROM purchased)""",
        fillers="",
        filled="",
        # The user knows this variant, not the others.
        in_stead="",
        # The most recent interaction first.
        returned=fragments.RETURNED.replace("{order}", "known.at DESC, p.id"),
        candidates=fragments.SHOWN_AND_RETURNED,
        known_reasons="""CASE WHEN p.id NOT IN (SELECT product_id FROM met UNION SELECT product_id FROM purchased)
                    THEN 'unmet' END,""",
        variants_known="",
        pool_known=fragments.POOL_KNOWN,
    ),
}


def _filter_reasons(category: bool, in_stock: bool) -> str:
    """Return the SQL for the reasons that come from the request's filters."""
    reasons = []
    if in_stock:
        reasons.append("CASE WHEN p.quantity <= 0 THEN 'sold_out' END,")
    if category:
        reasons.append(f"CASE WHEN NOT {in_subtree('p')} THEN 'category' END,")
    return " ".join(reasons)


def _statement(repeats: Repeats, category: bool, in_stock: bool, k: int, *, explained: bool = False) -> str:
    filtered = category or in_stock
    statement = fragments.CANDIDATES.replace("{left_out}", fragments.LEFT_OUT if explained else "")
    statement = statement.replace("{explanation}", fragments.EXPLANATION if explained else "")
    for name, part in _PARTS[repeats]._asdict().items():
        statement = statement.replace("{" + name + "}", part)
    statement = statement.replace("{variants}", fragments.VARIANTS)
    statement = statement.replace("{better_variant}", fragments.BETTER_VARIANT)
    return statement.format(
        parameters=_parameter_columns(),
        # Versions from earlier releases have one formula for all.
        serving=", ".join(f"parameters -> '{key}'" for key in dict.fromkeys((SERVING_KEYS[repeats], SERVING_KEY))),
        subtree=SUBTREE,
        contributions=fragments.CONTRIBUTIONS.format(source=""),
        sourced_contributions=fragments.CONTRIBUTIONS.format(source="profile.product_id AS source, "),
        filter_reasons=_filter_reasons(category, in_stock),
        left_out_max=LEFT_OUT_MAX,
        given_back=GIVEN_BACK,
        given_back_whole=GIVEN_BACK_WHOLE,
        profile_events_max=PROFILE_EVENTS_MAX,
        rank_max=RANK_MAX,
        halvings_max=HALVINGS_MAX,
        seen_events_max=SEEN_EVENTS_MAX,
        recent_minutes=RECENT_MINUTES,
        view_types=", ".join(f"'{kind}'" for kind, weight in EVENT_WEIGHTS.items() if weight == VIEW_WEIGHT),
        exclude_seen=STORED_EXCLUSION_POLICY["seen"],
        favourite_categories=FAVOURITE_CATEGORIES,
        facets=FACETS.format(product="p"),
        view_weight=VIEW_WEIGHT,
        purchase_weight=PURCHASE_WEIGHT,
        profile_products=PROFILE_PRODUCTS,
        content_neighbours=CONTENT_NEIGHBOURS,
        clear_content=CLEAR_CONTENT,
        suggested_tier=SUGGESTED_TIER,
        trending_tier=TRENDING_TIER,
        popular_tier=POPULAR_TIER,
        newest_tier=NEWEST_TIER,
        group_of_p=GROUP_KEY.format(alias="p"),
        group_of_shown=GROUP_KEY.format(alias="shown"),
        viewed_tier=VIEWED_TIER,
        bought_tier=BOUGHT_TIER,
        taste_window=TASTE_WINDOW,
        filler_window=FILLER_WINDOW,
        scored_windows=", ".join(f"'{window}'" for window in SCORED_WINDOWS),
        in_category=f"AND {in_subtree('p')}" if category else "",
        in_stock="AND p.quantity > 0" if in_stock else "",
        variant_in_category=f"AND {in_subtree('v')}" if category else "",
        variant_in_stock="AND v.quantity > 0" if in_stock else "",
        # Without a filter, few of the best are dropped afterwards.
        summed="ALL" if filtered else CANDIDATES_BY_PROFILE + k,
        liked=(CANDIDATES_BY_TASTE + k) * (FILTERED_CANDIDATES_FACTOR if filtered else 1),
        k=k,
    )


# Keyed by which known products the request wants, whether it has a category, whether it is restricted to products in
# stock, and the list size.
CANDIDATES: Final = {
    (repeats, category, in_stock, k): _statement(repeats, category, in_stock, k)
    for repeats in SERVING_KEYS
    for category in (False, True)
    for in_stock in (False, True)
    for k in ANSWER_SIZES
}

# The same for several users, in the order of the users.
_OF_USERS: Final = """
SELECT answer.candidates
FROM unnest(cast(:user_ids AS text[])) WITH ORDINALITY AS requested(user_id, place),
LATERAL ({statement}) AS answer(candidates) ORDER BY requested.place
"""
CANDIDATES_OF_USERS: Final = {
    key: _OF_USERS.replace("{statement}", statement.replace(":user_id", "requested.user_id"))
    for key, statement in CANDIDATES.items()
}


@cache
def explained_statement(repeats: Repeats, category: bool, in_stock: bool, k: int) -> str:
    """Return the statement in CANDIDATES extended by why each candidate is one, and what was left out and why."""
    return _statement(repeats, category, in_stock, k, explained=True)
