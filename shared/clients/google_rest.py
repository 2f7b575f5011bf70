"""Google's REST APIs, called as this process's service account; for rare calls that do not justify a client library.

If GOOGLE_REST_EMULATOR_HOST is set, every call goes to that emulator, without credentials.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from shared.clients import closed_on_reset
from shared.errors import Unavailable
from shared.settings import settings

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S: Final = 10.0
EMULATED_ACCOUNT: Final = "emulated@aisle.iam.gserviceaccount.com"
# Maximum length of a reported error message, which may quote the request.
REASON_CHARACTERS: Final = 300
# One thread refreshes the token; the others wait for it.
_refreshing: Final = threading.Lock()

Query = Mapping[str, str | int | Sequence[str]]


@cache
def credentials() -> Any:
    """Return the credentials of the account. Raises Unavailable if there are none."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        found, _project = google.auth.default(scopes=[SCOPE])
    except GoogleAuthError as error:
        raise Unavailable(f"There are no credentials for Google: {str(error)[:REASON_CHARACTERS]}") from None
    return found


@closed_on_reset
def close() -> None:
    """Forget the credentials."""
    credentials.cache_clear()


def _token() -> str:
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request as Refresh

    with _refreshing:
        account = credentials()
        try:
            if not account.valid:
                account.refresh(Refresh())
        except (GoogleAuthError, OSError) as error:
            raise Unavailable(f"Google did not issue an access token: {str(error)[:REASON_CHARACTERS]}") from None
        token: str = account.token
        return token


def account_email() -> str:
    """Return the account's email address. Raises Unavailable if it has none, as with a person's credentials."""
    if settings().google_rest_emulator_host:
        return EMULATED_ACCOUNT
    # The address becomes known with the first token.
    _token()
    email = getattr(credentials(), "service_account_email", None)
    if not email:
        raise Unavailable("The credentials do not belong to a service account, and only a service account can sign.")
    return str(email)


def call(host: str, method: str, path: str, query: Query | None = None, body: Any = None) -> dict[str, Any]:
    """Call a method of an API and return its JSON response. Raises Unavailable, with the reason, for any failure."""
    content = None if body is None else orjson.dumps(body)
    status, answer = send(host, method, path, query, content, "application/json")
    try:
        found = orjson.loads(answer or b"{}")
    except orjson.JSONDecodeError:
        found = None
    if not 200 <= status < 300:
        raise Unavailable(f"{host} answers {status}: {_reason(found)}")
    if not isinstance(found, dict):
        raise Unavailable(f"{host} did not answer with a JSON object.")
    return found


def send(
    host: str,
    method: str,
    path: str,
    query: Query | None = None,
    content: bytes | None = None,
    content_type: str = "",
    *,
    max_bytes: int = 32 << 20,
) -> tuple[int, bytes]:
    """Send a request and return the status and the first ``max_bytes`` of the body of the response.

    Raises Unavailable if there is no response.
    """
    connection = _connection(host)
    try:
        # The response is closed separately: if the server ends the connection, the connection no longer owns it.
        with closing(_answer(connection, host, method, path, query, content, content_type)) as answer:
            return answer.status, answer.read(max_bytes)
    except (OSError, HTTPException) as error:
        raise Unavailable(f"{host} does not answer: {type(error).__name__}.") from None
    finally:
        connection.close()


def stream(host: str, path: str, query: Query, block_bytes: int) -> tuple[int, int, Iterator[bytes]]:
    """Request a file; return the response's status, its size and its content in blocks. Raises Unavailable."""
    connection = _connection(host)
    try:
        answer = _answer(connection, host, "GET", path, query, None, "")
    except (OSError, HTTPException) as error:
        connection.close()
        raise Unavailable(f"{host} does not answer: {type(error).__name__}.") from None

    def blocks() -> Iterator[bytes]:
        with closing(connection), closing(answer):
            while block := answer.read(block_bytes):
                yield block

    if not 200 <= answer.status < 300:
        # its body is not read
        answer.close()
        connection.close()
    return answer.status, int(answer.headers.get("Content-Length", 0)), blocks()


def _connection(host: str) -> HTTPConnection:
    emulator = settings().google_rest_emulator_host
    return HTTPConnection(emulator, timeout=TIMEOUT_S) if emulator else HTTPSConnection(host, timeout=TIMEOUT_S)


def _answer(
    connection: HTTPConnection,
    host: str,
    method: str,
    path: str,
    query: Query | None,
    content: bytes | None,
    content_type: str,
) -> HTTPResponse:
    headers = {"Content-Type": content_type} if content_type else {}
    if settings().google_rest_emulator_host:
        headers["X-Emulated-Host"] = host
    else:
        headers["Authorization"] = f"Bearer {_token()}"
    connection.request(method, f"{path}?{urlencode(query, doseq=True)}" if query else path, content, headers)
    return connection.getresponse()


def _reason(answer: Any) -> str:
    """Return the message of an error (https://google.aip.dev/193)."""
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or "without a reason")[:REASON_CHARACTERS]
