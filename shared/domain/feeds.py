"""Rules for scheduled feeds: permitted URLs and names of secrets. No I/O."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

# Feeds may use only secrets with this prefix; otherwise a feed could send any secret of the project to any server.
SECRET_PREFIX: Final = "aisle-feed-"  # noqa: S105  # of names, not of values
# The preset of a feed that is not a file: its URL is that of a Medusa server, whose API is pulled.
MEDUSA: Final = "medusa"
_SECRET: Final = re.compile(rf"{SECRET_PREFIX}[a-zA-Z0-9_-]{{1,200}}")
_SCHEMES: Final = ("https", "http", "gs", "s3")
# Query parameters whose values are credentials.
_CREDENTIAL: Final = re.compile(
    r"(?i)^(?:.*[_-])?(?:api_?key|key|token|access_?token|auth|authorization|pass|passwd|password|pwd|secret|sig|"
    r"signature|x-amz-signature|x-goog-signature)$"
)
_REMEDY: Final = (
    f"put it into a secret whose name begins with {SECRET_PREFIX}, as user:password, Bearer TOKEN or ?name=value, and "
    "name that secret in `credentials`"
)


def feed_url(value: str) -> str:
    """Return a feed's URL. Raises ValueError for an unsupported scheme and for credentials in the URL."""
    try:
        parts = urlsplit(value)
        names = [name for name, _value in parse_qsl(parts.query, keep_blank_values=True)]
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError("must be a URL") from None
    if parts.scheme not in _SCHEMES or not has_host or "::" in value:
        raise ValueError("must begin with https://, gs:// or s3://; locally also http://")
    if any(character.isspace() for character in value) or parts.fragment:
        raise ValueError("must not have spaces, line breaks or a fragment (#…); write the address that the file has")
    if "@" in parts.netloc:
        raise ValueError(f"must not have a user or password; {_REMEDY}")
    wrong = next((name for name in names if _CREDENTIAL.match(name)), None)
    if wrong is not None:
        raise ValueError(f"must not have the parameter {wrong[:50]!r}, which is a credential; {_REMEDY}")
    return value


def secret_name(value: str) -> str:
    """Return the name of a feed's secret. Raises ValueError for any other name, and if it may be the secret itself."""
    if not _SECRET.fullmatch(value):
        raise ValueError(
            f"must be the name of a secret in Secret Manager that begins with {SECRET_PREFIX}, not the secret itself"
        )
    return value
