"""``Idempotency-Key`` on POSTs that create: the same key and request get the same answer, done once.

def create(write: ProductWrite, key: IdempotencyKey = None) -> Response:
    return once(key, "POST /products", fingerprint(write), work)

def work(finish: Finish) -> Response:
    with transaction() as connection:
        ...
        answer = Response(...)
        finish(connection, answer)      # before the commit, so that work and answer are stored together
    return answer
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Header
from pydantic import BaseModel
from starlette.responses import Response

from shared.clients.postgres import Connection
from shared.errors import AppError
from shared.storage.operations import idempotency
from shared.storage.operations.idempotency import Claim, Stored

log = logging.getLogger(__name__)

_HEADER: Final = Header(
    alias="Idempotency-Key",
    min_length=1,
    max_length=255,
    pattern=r"^[\x20-\x7e]+$",
    description="makes a repetition safe: the same key and body get the same answer for 24 hours",
)
IdempotencyKey = Annotated[str | None, _HEADER]
# where doing it twice would cost somebody something
RequiredIdempotencyKey = Annotated[str, _HEADER]
Finish = Callable[[Connection, Response], None]
# headers that are part of the answer itself
KEPT_HEADERS: Final = ("location",)


def fingerprint(*parts: BaseModel | bytes | str) -> bytes:
    """Return the hash by which two requests are the same."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.model_dump_json(exclude_unset=True).encode() if isinstance(part, BaseModel) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def once(key: str | None, route: str, request_hash: bytes, work: Callable[[Finish], Response]) -> Response:
    """Return the answer of ``work``, done once per key and route; without a key it is simply done.

    ``route`` should name whoever the key belongs to where that is not everybody. Work that raises gives the key back.
    Raises IdempotencyMismatch and IdempotencyInProgress.
    """
    if key is None:
        return work(lambda _connection, _answer: None)
    held = idempotency.claim(key, route, request_hash)
    if isinstance(held, Stored):
        headers = {**held.headers, "Idempotent-Replayed": "true"}
        return Response(held.body, held.status, headers, held.content_type)
    try:
        return work(lambda connection, answer: idempotency.finish(connection, held, _stored(answer)))
    except Exception:
        _give_back(held)
        raise


def _stored(answer: Response) -> Stored:
    headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    return Stored(answer.status_code, answer.media_type or "application/json", bytes(answer.body), headers)


def _give_back(held: Claim) -> None:
    try:
        idempotency.release(held)
    except AppError as error:
        log.warning("idempotency key not given back", extra={"error": error.detail, "expires_s": idempotency.CLAIM_S})
