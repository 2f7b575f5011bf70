"""Masks credentials in logs, since libraries put the headers of their requests into messages and tracebacks."""

import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Final

MASK: Final = "***"
# Values nested deeper than this in a log field are masked entirely.
MAX_DEPTH: Final = 50
# Lower-case names of headers and fields whose value is a credential.
SECRET_NAMES: Final = frozenset(
    {
        "access_token",
        "api_secret",
        "authorization",
        "client_secret",
        "cookie",
        "current_password",
        "id_token",
        "new_password",
        "password",
        "proxy-authorization",
        "refresh_token",
        "set-cookie",
        "x-api-key",
        "x-goog-api-key",
        "x-serverless-authorization",
    }
)
_NAMES: Final = "|".join(name.replace("-", "[-_]") for name in sorted(SECRET_NAMES))
# One alternative per form; the match of its named group is kept. Repetitions are bounded, or begin where no other match
# of theirs can begin, so that matching takes linear time in the length of the text, which a client may choose.
_CREDENTIALS: Final = re.compile(
    rf"""
    # a secret among the parameters of a URL, or of a form
    (?P<parameter>(?i:[?&](?:key|sig|signature|x-goog-signature|token)|(?<![\w-])(?:access_token|refresh_token|id_token
        |client_secret|api_secret|password))=)[^\s&"'\\]+
    # a name and its value, both in quotes, which may be escaped: 'x-api-key': '…', (b'authorization', b'…')
    | (?P<field>(?<![A-Za-z0-9-])(?i:{_NAMES})\\{{0,9}}["']\s{{0,9}}[:,=]\s{{0,9}}b?\\{{0,9}}["'])[^"'\\]+
    # a header without quotes, to the end of its line
    | (?P<header>(?<![A-Za-z0-9-])(?i:{_NAMES})\s?[:=][^\S\n]{{0,9}}(?i:(?:bearer|basic|digest)\s+)?)
        (?!(?i:false|true|null|none)\b|\d+\b)[^\s"'\\][^"'\\\n]*
    # a credential without its header
    | (?P<scheme>(?<![\w-])(?i:bearer|basic)\s{{1,9}})(?=[\w+/=.~-]{{0,19}}\d|[\w+/=.~-]{{20}})[\w+/=.~-]{{8,}}
    # an access token: an encoded header, payload and signature
    | (?P<token>(?<![\w-]))eyJ[\w-]{{8,}}\.[\w-]{{8,}}\.[\w-]*
    # an access token, an API key or a refresh token of Google
    | (?P<google>(?<![\w-]))(?:ya29\.[\w.-]{{8,}}|AIza[\w-]{{30,}}|1//0[\w-]{{20,}})
    # a private key
    | (?P<private>-----BEGIN\s[A-Z\s]{{0,20}}PRIVATE\sKEY-----)[\w\s+/=\\]+
    # an API key, of which the id stays
    | (?P<key>(?<![A-Za-z0-9])[ps]k_[0-9a-f]{{12}}_)[0-9a-f]{{32}}\w*
    # the password in a URL, which may have an @ in it
    | (?P<url>(?<![\w+.-])\w[\w+.-]{{0,30}}://[^\s/:@"']{{0,99}}:)[^\s/"']{{1,200}}(?=@)
    """,
    re.VERBOSE,
)


def mask_credentials(text: str) -> str:
    """Return the text with MASK in place of tokens, keys, passwords in URLs and the values of SECRET_NAMES."""
    return _CREDENTIALS.sub(_mask, text)


def masked(value: Any, depth: int = 0) -> Any:
    """Return a log value with its texts masked; values nested deeper than MAX_DEPTH become MASK.

    depth : nesting depth of the value. Values other than texts are unchanged.
    """
    if isinstance(value, str):
        return mask_credentials(value)
    if depth > MAX_DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {
            masked(name): MASK if _is_secret(name) and isinstance(inner, str | bytes) else masked(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        if isinstance(value, list | tuple) and len(value) == 2 and _is_secret(value[0]):
            # A header as a name-value pair, as servers represent it.
            return [masked(value[0]), MASK]
        return [masked(inner, depth + 1) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return masked(asdict(value), depth)
    return value


def masked_text(value: object) -> str:
    """Return the masked text of a value that JSON cannot represent."""
    return mask_credentials(str(value))


def _is_secret(name: object) -> bool:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and name.lower() in SECRET_NAMES


def _mask(match: re.Match[str]) -> str:
    return f"{match[match.lastgroup or 0]}{MASK}"
