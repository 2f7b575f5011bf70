"""URLs of the drawn placeholder pictures of products that have no image of their own.

The SQL function product_json builds the same URLs (docs/decisions/0067-pictures.md).
"""

import re
from typing import Final

_PATH: Final = re.compile(r"/images/[1-9][0-9]*\.svg")


def is_picture(url: str, public_url: str | None) -> bool:
    """Return whether ``url`` is that of a drawn picture served by the installation at ``public_url``."""
    if public_url is None or not url.startswith(public_url):
        return False
    return _PATH.fullmatch(url[len(public_url) :]) is not None
