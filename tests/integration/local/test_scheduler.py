"""A job that the schedule starts over HTTP: which answers are a failure."""

from collections.abc import Callable, Iterable

import pytest

from local.scheduler import over_http
from shared.manifest import manifest
from tests.integration.delivery.servers import WsgiServer


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        ("200 OK", None),
        ("299 Fine", None),
        ("300 Elsewhere", "300: why"),
        # the same job runs already: an administrator has started it
        ("409 Conflict", None),
        ("410 Gone", "410: why"),
        ("500 No", "500: why"),
    ],
)
def test_a_run_that_goes_on_already_is_no_failure(status: str, failure: str | None) -> None:
    seen: list[tuple[object, object]] = []

    def worker(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        seen.append((environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION")))
        start_response(status, [("Content-Type", "text/plain")])
        return [b"why"]

    with WsgiServer(worker) as url:
        assert over_http(url, "secret")(manifest().entries["popular"]) == failure
    assert seen == [("/popular", "Bearer secret")]
