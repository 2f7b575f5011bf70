"""Secrets of feeds: read from Secret Manager whenever a feed is fetched, and never cached.

Locally, they come from FEED_SECRETS.
"""

import base64
import json
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from shared.domain.feeds import secret_name
from shared.errors import InvalidRequest
from shared.settings import settings

_ADDRESS: Final = "https://secretmanager.googleapis.com/v1/projects/{project}/secrets/{name}/versions/latest:access"
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S: Final = 10.0


def _local(name: str) -> str | None:
    given = settings().feed_secrets
    pairs = (line.partition("=") for line in given.get_secret_value().splitlines()) if given is not None else ()
    return next((value for known, _, value in pairs if known.strip() == name), None)


def _from_secret_manager(name: str) -> str:
    import google.auth
    from google.auth.transport.requests import Request as Refresh

    credentials, project = google.auth.default(scopes=[_SCOPE])
    credentials.refresh(Refresh())
    request = Request(  # noqa: S310  # the address is a constant of https
        _ADDRESS.format(project=settings().google_cloud_project or project, name=name),
        headers={"Authorization": f"Bearer {credentials.token}"},
    )
    with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # as above
        payload: str = json.load(answer)["payload"]["data"]
    return base64.b64decode(payload).decode()


def read_secret(name: str) -> str:
    """Return the value of a feed's secret. Raises InvalidRequest, naming the secret, if it cannot be used."""
    secret_name(name)
    value = _read(name)
    if not value.isascii() or not value.isprintable():
        # A client that refuses to send the secret as a header would put it into the error message.
        raise InvalidRequest(f"credentials: {name} must be one line of ASCII characters; store it again.")
    return value


def _read(name: str) -> str:
    if (value := _local(name)) is not None:
        return value.strip()
    if settings().environment == "local":
        raise InvalidRequest(f"credentials: FEED_SECRETS has no line {name}=…; add it and restart.")
    try:
        return _from_secret_manager(name).strip()
    except HTTPError as error:
        raise InvalidRequest(
            f"credentials: Secret Manager answers {error.code} for {name}. Create it, with a version that is enabled."
        ) from None
    except (URLError, OSError, ValueError, KeyError) as error:
        raise InvalidRequest(f"credentials: {name} cannot be read: {type(error).__name__}.") from None
