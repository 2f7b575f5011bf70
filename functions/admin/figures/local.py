"""Figures of the local system, from the part that receives the telemetry of all others."""

from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from shared.domain.operations import FIGURES, Figures, from_json

TIMEOUT_S: Final = 5.0


class LocalTelemetry:
    """Asks the part for its figures at ``url``."""

    name = "local"
    # the parts report every 5 seconds
    fresh_s = 3.0

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self) -> Figures:
        """Return the figures as they are now."""
        address = urlsplit(self._url)
        connection = HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", address.path)
            answer = connection.getresponse()
            if answer.status != 200:
                return _nothing(f"The telemetry part answers {answer.status}. See ./aisle logs telemetry.")
            found: dict[str, Any] = orjson.loads(answer.read())
            return from_json(found)
        except (OSError, HTTPException):
            return _nothing("The telemetry part does not answer. See ./aisle status.")
        except (orjson.JSONDecodeError, ValueError, KeyError, TypeError):
            return _nothing("The telemetry part is of another release. Restart ./aisle up.")
        finally:
            connection.close()


def _nothing(reason: str) -> Figures:
    return Figures(unavailable=dict.fromkeys(FIGURES, reason))
