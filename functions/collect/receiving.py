"""The steps that the routes of all dialects share: check the API key, publish the reports, answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from functions.collect.translation import Report
from shared import api_keys
from shared.api_keys import KEY_CHALLENGE
from shared.auth import Credential
from shared.errors import AppError, Forbidden, InvalidApiKey, InvalidRequest, PubSubUnavailable, Unauthorized
from shared.event_publishing import cost_of, publish_batch, unconfirmed
from shared.http import revocations
from shared.http.answers import dump
from shared.http.api import charge

MAX_REPORTS: Final = 5_000


@dataclass(frozen=True)
class Received:
    """How many events were accepted, and the problems of the others by their position in the request."""

    accepted: int
    rejected: list[dict[str, Any]]


async def require_key(request: Request, in_body: Any = None) -> None:
    """Raise unless the request has a valid API key: in a header or the URL, which the edge has checked, or in its body.

    Raises Unauthorized without a key, InvalidApiKey for an invalid key, and Forbidden for a secret key in the body,
    which a browser could have sent.
    """
    checked = request.scope.get("aisle.key")
    if in_body is None:
        if checked is None:
            raise Unauthorized(
                "Send a publishable API key (pk_…) as the write key; POST /admin/api-keys creates one.",
                headers=KEY_CHALLENGE,
            )
        return
    text = str(in_body)
    if text.startswith("sk_"):
        if checked is not None and checked.kind == "secret" and api_keys.verify(text) == checked:
            # a library that repeats the Basic user in the body sends both from the same server
            return
        raise Forbidden("A secret API key must not be a writeKey. Send it as the user of Authorization: Basic.")
    key = api_keys.verify(text)
    # the edge, which reads the revoked keys for those that it sees, has not seen this one
    revocations.refresh()
    await revocations.first_read()
    if key is None or (checked is not None and checked != key) or revocations.is_revoked(key.id):
        raise InvalidApiKey(
            "The writeKey is not a valid API key, or differs from the header's; GET /admin/api-keys lists valid keys.",
            headers=KEY_CHALLENGE,
        )


async def receive(request: Request, reports: Sequence[tuple[int, Report]], credential: Credential) -> Received:
    """Publish the reports of a request, each with the position of its event, and return what was accepted.

    Raises the problem of the first event if none was accepted, and PubSubUnavailable.
    """
    if not reports:
        raise InvalidRequest("The request has no events.")
    if len(reports) > MAX_REPORTS:
        raise InvalidRequest(f"The request has more than {MAX_REPORTS} events; send it in parts.")
    raws = [report for _position, report in reports]
    charge(request, cost_of(raws))
    try:
        result = await publish_batch(raws, credential)
    except PubSubUnavailable as refused:
        # the client knows neither the reports nor their ids
        raise unconfirmed(refused, "send the same request again. Events that carry ids count once.") from refused
    problems: dict[int, AppError] = {}
    for index, error in result.rejected.items():
        problems.setdefault(reports[index][0], error)
    if problems and result.accepted == 0:
        raise next(iter(problems.values()))
    rejected = [{"index": position, "problem": error.problem()} for position, error in problems.items()]
    return Received(len({position for position, _report in reports}) - len(problems), rejected)


async def receive_event(request: Request, reports: Iterable[Report], credential: Credential) -> Received:
    """Publish the reports of a request that has one event. Raises what ``receive`` raises."""
    return await receive(request, [(0, report) for report in reports], credential)


def result_response(received: Received) -> Response:
    """Return the response that says what was accepted: a CollectionResult."""
    body = {"success": True, "accepted": received.accepted, "rejected": received.rejected}
    return Response(dump(body), media_type="application/json")
