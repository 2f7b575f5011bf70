"""The logs of a whole run of tests, searched at its end for every secret that the tests sent or received.

``RunLogs.remember`` is a hook of the tests' HTTP clients: it collects passwords, tokens, keys and emails from requests
and answers. ``leaks`` searches the logs of every service, worker and function for them, and for the forms of secrets.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from local.errors import Refused
from local.first_login import EMAIL
from local.state import read_json
from shared.logs import JsonFormatter

FORMS: Final = {
    "an email": re.compile(r"[\w.+-]+@example\.(?:com|net|org)"),
    "an access token": re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\."),
    "an API key": re.compile(r"\b[ps]k_[0-9a-f]{12}_[0-9a-f]{32}"),
    "a key in a URL": re.compile(r"[?&]key=[^\s&\"']+"),
    "a credential": re.compile(r"\b(?:Bearer|Basic) [\w+/=.-]{8,}"),
    "a hash of a password": re.compile(r"\$argon2id?\$"),
    "a location": re.compile(r"\b(?:latitude|longitude)[\"']?\s*[=:]\s*[\"']?-?\d+\.\d+"),
    "a URL with a password": re.compile(r"\b\w[\w+]*://[^\s/:@]*:[^\s/@*]+@"),
}
# fields of JSON bodies and headers whose values no log may have
SECRET_FIELDS: Final = frozenset(
    {"access_token", "current_password", "email", "key", "new_password", "password", "refresh_token", "token"}
)
SECRET_HEADERS: Final = ("authorization", "idempotency-key", "x-api-key")
# a shorter value may occur in a log by chance
MIN_CHARACTERS: Final = 12
# of the line of a log in which a secret was found
QUOTED_CHARACTERS: Final = 300


class WithoutStream(logging.Formatter):
    """The lines of JsonFormatter. Another class, because ``logs.configure`` looks for that one to run only once."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = JsonFormatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line that the deployed function writes."""
        return self.lines.format(record)


class RunLogs:
    """The secrets of a run, and the log of the functions that it serves in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: set[str] = set()
        self.functions = folder / "functions" / "logs" / "functions.log"
        self.functions.parent.mkdir(parents=True, exist_ok=True)
        self.functions.touch(0o600)
        self.handler = logging.FileHandler(self.functions, encoding="utf-8", errors="backslashreplace")
        self.handler.setFormatter(WithoutStream())
        # stand-ins of cloud providers, which tests serve in this process, log the paths of their requests, and the
        # tests' own client logs the URLs of its requests, mailed links among them; no function uses httpx
        self.handler.addFilter(lambda record: record.name not in ("werkzeug", "httpx"))

    def __enter__(self) -> "RunLogs":
        logging.getLogger().addHandler(self.handler)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self.handler)
        self.handler.close()

    def add(self, value: object) -> None:
        """Remember a secret. Numbers and short texts occur by chance, and the first admin's email is printed."""
        if isinstance(value, str) and len(value) >= MIN_CHARACTERS and not value.isdigit() and value != EMAIL:
            self.values.add(value)

    def remember(self, response: httpx.Response) -> None:
        """Remember the secrets of a request and of its answer: a hook for responses of httpx."""
        request = response.request
        for name in SECRET_HEADERS:
            for value in request.headers.get_list(name):
                self.add(value.rpartition(" ")[2])
        self.add(request.url.params.get("key"))
        if "json" in request.headers.get("content-type", ""):
            # a body that was sent from an iterator is gone
            with suppress(httpx.StreamConsumed):
                self.collect(request.read())
        if "json" in response.headers.get("content-type", ""):
            self.collect(response.read())

    def collect(self, body: bytes) -> None:
        """Remember the values of secret fields anywhere in a body of JSON."""
        if not any(f'"{name}"'.encode() in body for name in SECRET_FIELDS):
            return
        try:
            waiting: list[Any] = [orjson.loads(body)]
        except orjson.JSONDecodeError:
            return
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                for name, inner in value.items():
                    if name in SECRET_FIELDS:
                        self.add(inner)
                    waiting.append(inner)
            elif isinstance(value, list):
                waiting.extend(value)

    def logs(self) -> list[Path]:
        """Return the logs below the run's folder, and what its systems printed."""
        return sorted({*self.folder.rglob("logs/*.log*"), *self.folder.rglob("output.txt")})

    def leaks(self) -> Iterator[str]:
        """Yield each secret in a log, and each log that others may read. A line quotes the log without its secrets."""
        values = set(self.values)
        for state in self.folder.rglob("state.json"):
            # a test damages a state on purpose
            with suppress(Refused):
                values.update(read_json(state).get("secrets", {}).values())
        for log in self.logs():
            if log.parent.name == "logs" and os.stat(log).st_mode & 0o077:
                yield f"{log}: readable by others; it must have the mode 0600"
            text = log.read_text(errors="replace")
            for kind, form in FORMS.items():
                if match := form.search(text):
                    yield f"{log}:{line_of(text, match.start())}: {kind}: {quote(text, match.start(), values)}"
            for value in values:
                if (start := text.find(value)) >= 0:
                    line = f"{log}:{line_of(text, start)}"
                    yield f"{line}: a value that was sent or received as a secret: {quote(text, start, values)}"


@contextmanager
def searched(folder: Path) -> Iterator[RunLogs]:
    """Yield the logs of a run; at its end, when all services have stopped, fail if a secret is in one."""
    with RunLogs(folder) as logs:
        yield logs
    leaks = list(logs.leaks())
    assert not leaks, "secrets in the logs of this run:\n" + "\n".join(leaks)


def line_of(text: str, position: int) -> int:
    """Return the number of the line at a position."""
    return text.count("\n", 0, position) + 1


def quote(text: str, position: int, values: Iterable[str]) -> str:
    """Return the beginning of the line at a position, with an ellipsis in place of every secret."""
    line = text[text.rfind("\n", 0, position) + 1 :].partition("\n")[0]
    for value in values:
        line = line.replace(value, "…")
    for form in FORMS.values():
        line = form.sub("…", line)
    return line[:QUOTED_CHARACTERS]
