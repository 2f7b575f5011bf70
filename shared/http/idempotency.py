"""``Idempotency-Key`` on POSTs that create: the same key and request take effect once and get the same response.

The response is kept for 24 hours. A route is written like this::

    def create_product(write: ProductWrite, key: IdempotencyKey = None) -> Response:
        def work(finish: Finish) -> Response:
            with transaction() as connection:
                ...
                answer = Response(...)
                finish(connection, answer)  # before the commit, so that work and answer are stored together
            return answer

        return once(key, "POST /products", fingerprint(write), work)
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import BaseModel
from starlette.responses import Response

from shared.clients.postgres import Connection
from shared.domain.identity import is_account
from shared.settings import settings
from shared.storage.operations import idempotency
from shared.storage.operations.idempotency import Stored

Finish = Callable[[Connection, Response], None]
# A longer response is recomputed for a repeated request if the route supports it. Otherwise a client with a cart of 100
# products could store 50 kB with each request of 100 bytes.
MAX_STORED_BYTES: Final = 8_192
# Seconds that a request takes in addition to its work.
MARGIN_S: Final = 5.0
# Headers that are stored with the response.
KEPT_HEADERS: Final = ("location",)


def fingerprint(*parts: BaseModel | bytes | str) -> bytes:
    """Return the hash of a request's parts; requests with equal hashes are the same request."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.model_dump_json(exclude_unset=True).encode() if isinstance(part, BaseModel) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def once(
    key: str | None,
    route: str,
    request_hash: bytes,
    work: Callable[[Finish], Response],
    *,
    owner: str | None = None,
    work_s: float | None = None,
    compute_again: Callable[[Mapping[str, str]], bytes] | None = None,
) -> Response:
    """Return the response of ``work``, which runs once per key and route; without a key, it runs every time.

    ``route`` must contain the user if keys are per user, and ``owner`` is that user, with whom the stored response is
    erased. ``work_s`` is the longest time in seconds that ``work`` can take, at least that of one statement: if the
    process dies meanwhile, the key can be used again after that. If ``work`` raises, the key can be used again at once.
    ``compute_again`` returns, from the stored headers, the body of a response that was too long to be stored: the
    current state of what the first response showed.
    Raises IdempotencyMismatch for another request's key and IdempotencyInProgress while the first request is running.
    """
    if key is None:
        return work(lambda _connection, _answer: None)
    longest_s = max(work_s or 0, settings().statement_timeout_s) + MARGIN_S
    held = idempotency.claim(key, route, request_hash, owner, claim_s=longest_s)
    if isinstance(held, Stored):
        headers = {**held.headers, "Idempotent-Replayed": "true"}
        body = compute_again(held.headers) if compute_again is not None and not held.body else held.body
        return Response(body, held.status, headers, held.content_type)
    most = None if compute_again is None else MAX_STORED_BYTES
    try:
        return work(lambda connection, answer: idempotency.finish(connection, held, kept_answer(answer, most)))
    except Exception:
        idempotency.release(held)
        raise


def key_user(key: str | None, route: str, user_id: str) -> str:
    """Return the user whose key this is: ``user_id``, or the guest who used it at ``route`` and became that account.

    So a request repeated after a login counts as the same request. The route to pass to ``once`` is ``route``, a space
    and this id.
    """
    if key is None or not is_account(user_id):
        return user_id
    return idempotency.first_user(key, route, user_id)


def kept_answer(answer: Response, most: int | None) -> Stored:
    """Return the form in which a response is stored: without its body if that is longer than ``most`` bytes."""
    headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    body = bytes(answer.body) if most is None or len(answer.body) <= most else b""
    return Stored(answer.status_code, answer.media_type or "application/json", body, headers)
