"""Read one user's candidates, and everything needed to rank them, in one statement.

candidate_statements.py has the statement.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.category_references import ANY_CATEGORY, CategoryReference
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.formula import Formula, Repeats
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS, price_band
from shared.domain.product_references import ProductReference, arrays
from shared.domain.ranking import Candidate, TasteProfile
from shared.domain.rules import Rule
from shared.settings import settings
from shared.storage.recommending.candidate_statements import (
    ANSWER_SIZES,
    CANDIDATES,
    CANDIDATES_OF_USERS,
    explained_statement,
)


@dataclass(frozen=True)
class CandidateSet:
    """One user's candidates, and what is needed to rank and explain them.

    Attributes
    ----------
    version, algorithm : the active model version and its algorithm; None if there is none.
    formula : that version's formula for these repeats, with defaults for parameters that it lacks.
    category_known : whether the requested category exists; True if none was requested.
    contradiction : two ids given for one product that belong to different products; None if there are none.
    profile : (product id, weight, event type of the greatest weight) of each product in the profile.
    location : latitude and longitude stored for the account.
    """

    version: int | None
    algorithm: str | None
    formula: Formula
    category_known: bool
    contradiction: tuple[int, str] | None
    profile: list[tuple[int, float, str]]
    taste: TasteProfile
    candidates: list[Candidate]
    rules: list[Rule]
    location: tuple[float, float] | None


class LeftOut(NamedTuple):
    """A product suggested by profile, trend or history that is not a candidate.

    cf : its collaborative score.
    reasons : ``excluded`` by the request, ``rule``, ``hidden``, ``bought``, ``viewed``, ``unmet``, ``sold_out``,
        ``category``, ``variant`` (of a known product or a candidate); empty if only its score is too low.
    """

    id: int
    cf: float
    reasons: list[str]


@dataclass(frozen=True)
class ExplainedCandidates:
    """The candidates for a request, with the data that explains them.

    contributions : by product id, the profile products that are similar according to the model, with what each adds to
        the collaborative score, greatest first.
    """

    candidates: CandidateSet
    contributions: dict[int, list[tuple[int, float]]]
    left_out: list[LeftOut]


def read_candidates(
    user_id: str,
    *,
    k: int,
    repeats: Repeats = "exclude",
    category: CategoryReference = ANY_CATEGORY,
    exclude: Sequence[ProductReference] = (),
    in_stock: bool = False,
    context: Sequence[ProductReference] = (),
) -> CandidateSet:
    """Return the candidates that pass the filters, with the active formula, the user's profile and taste, and rules.

    Parameters
    ----------
    k : size of the list, at most the greatest of ANSWER_SIZES.
    repeats : which of the products known to the user are wanted.
    exclude : products that must not be candidates; neither must their other variants.
    context : products that the user is looking at, newest first; each counts as a view at this moment.
    """
    statement = CANDIDATES[_key(repeats, category, in_stock, k)]
    parameters = _parameters(repeats, category, k, exclude, context)
    (row,) = postgres.run_prepared(statement, user_id=user_id, **parameters)
    return _candidate_set(row[0], repeats)


def read_candidates_of(
    user_ids: Sequence[str],
    *,
    k: int,
    repeats: Repeats = "exclude",
    category: CategoryReference = ANY_CATEGORY,
    exclude: Sequence[ProductReference] = (),
    in_stock: bool = False,
) -> list[CandidateSet]:
    """Return each user's candidates, like ``read_candidates``, in one statement for all users."""
    statement = CANDIDATES_OF_USERS[_key(repeats, category, in_stock, k)]
    parameters = _parameters(repeats, category, k, exclude, ())
    rows = postgres.run_prepared(statement, user_ids=list(user_ids), **parameters)
    return [_candidate_set(row[0], repeats) for row in rows]


def read_explained(
    user_id: str,
    *,
    k: int,
    repeats: Repeats = "exclude",
    category: CategoryReference = ANY_CATEGORY,
    exclude: Sequence[ProductReference] = (),
    in_stock: bool = False,
    context: Sequence[ProductReference] = (),
    read: Callable[..., Sequence[Sequence[Any]]] = postgres.read,
) -> ExplainedCandidates:
    """Return the same as ``read_candidates`` plus what explains it, from the same statement with further columns.

    ``read`` runs the statement.
    """
    statement = explained_statement(*_key(repeats, category, in_stock, k))
    ((row,),) = read(statement, user_id=user_id, **_parameters(repeats, category, k, exclude, context))
    columns = orjson.loads(row)
    contributions: dict[int, list[tuple[int, float]]] = {}
    for product_id, source, cf in columns["contributed"]:
        contributions.setdefault(product_id, []).append((source, cf))
    left_out = [LeftOut(product_id, cf, reasons) for product_id, cf, reasons in columns["left_out"]]
    return ExplainedCandidates(_candidate_set(row, repeats), contributions, left_out)


def _key(repeats: Repeats, category: CategoryReference, in_stock: bool, k: int) -> tuple[Repeats, bool, bool, int]:
    return repeats, category != ANY_CATEGORY, in_stock, next(size for size in ANSWER_SIZES if k <= size)


def _parameters(
    repeats: Repeats,
    category: CategoryReference,
    k: int,
    exclude: Sequence[ProductReference],
    context: Sequence[ProductReference],
) -> dict[str, Any]:
    context_ids, context_external = arrays(context)
    parameters: dict[str, Any] = {
        **category._asdict(),
        "exclude": [reference.product_id for reference in exclude if reference.product_id is not None],
        "exclude_external": [reference.external_id for reference in exclude if reference.external_id is not None],
        "context": context_ids,
        "context_external": context_external,
        "profile_events": settings().profile_events,
        "event_types": [event_type.value for event_type in EVENT_WEIGHTS],
        "weights": list(EVENT_WEIGHTS.values()),
        "half_life_s": HALF_LIFE.total_seconds(),
        "max_halvings": MAX_HALVINGS,
    }
    # No known product returns to a list that leaves none out.
    return parameters if repeats == "include" else parameters | {"k": k}


def _candidate_set(row: str, repeats: Repeats) -> CandidateSet:
    columns = orjson.loads(row)
    scores: dict[str, dict[str, float]] = {}
    for kind, key, score in columns["taste"]:
        scores.setdefault(kind, {})[key] = score
    return CandidateSet(
        version=columns["version"],
        algorithm=columns["algorithm"],
        formula=Formula.from_parameters(
            columns["serving"], Formula(profile_events=settings().profile_events)
        ).for_repeats(repeats),
        category_known=columns["category_known"],
        contradiction=tuple(columns["contradiction"]) if columns["contradiction"] else None,
        profile=[(product_id, weight, event_type) for product_id, weight, event_type in columns["profile"]],
        taste=TasteProfile(scores, price_band(*columns["price"]) if columns["price"] else None),
        candidates=[Candidate._make(candidate) for candidate in columns["candidates"]],
        rules=[Rule(*rule) for rule in columns["rules"]],
        location=tuple(columns["location"]) if columns["location"] else None,
    )
