"""Masks credentials in texts for logs: libraries put the headers of their requests into messages and tracebacks."""

import re
from typing import Final

MASK: Final = "***"
# One alternative for each form; what its named group ``kept`` matches stays.
_CREDENTIALS: Final = re.compile(
    r"""
    # the value of a header that authenticates: Authorization: Bearer …, 'x-api-key': '…', (b'authorization', b'…')
    (?P<header>\b(?i:(?:proxy-|x-serverless-)?authorization|x-api-key)
        (?:\s*[:=]\s*|\\?["']\s*[:,]\s*)b?(?:\\?["'])?(?:(?i:bearer|basic|digest|token)\s+)?)
        [^\s"'\\,;)}\]]+
    # a credential without its header
    | (?P<scheme>\b(?:Bearer|Basic)\s+)[\w+/=.~-]{8,}
    # an access token: an encoded header, payload and signature
    | (?P<token>\b)eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*
    # an access token of Google
    | (?P<google>\b)ya29\.[\w.-]{8,}
    # an API key, of which the id stays
    | (?P<key>\b[ps]k_[0-9a-f]{12}_)[0-9a-f]{32}\w*
    # the password in a URL
    | (?P<url>\b\w[\w+.-]*://[^\s/:@"']*:)[^\s/@"']+(?=@)
    """,
    re.VERBOSE,
)


def mask_credentials(text: str) -> str:
    """Return the text with MASK in place of tokens, keys, passwords in URLs and headers that authenticate.

    The text may be JSON, and stays that: a mask has no character that JSON escapes.
    """
    return _CREDENTIALS.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    return f"{match[match.lastgroup or 0]}{MASK}"
