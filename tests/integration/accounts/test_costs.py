"""What a request counts in the rate limit: one that hashes a password, or mails, as much as many cheap ones."""

import httpx
import pytest

from shared.http import limits
from tests.integration.conftest import Serve, settings_of

LIMIT = 100
COSTS = {
    ("POST", "/auth/login"): 20,
    ("POST", "/auth/register"): 20,
    ("POST", "/auth/password"): 40,
    ("POST", "/auth/password-reset"): 20,
    ("POST", "/auth/set-password"): 20,
    ("POST", "/auth/verification"): 20,
    ("PATCH", "/users/me"): 20,
    ("POST", "/auth/guest"): 1,
    ("POST", "/auth/refresh"): 1,
    ("POST", "/auth/logout"): 1,
    ("PUT", "/users/me/location"): 1,
    ("GET", "/nowhere"): 1,
}


def test_what_hashes_or_mails_counts_as_many_requests(
    env: dict[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a busy machine may take longer than a minute
    monkeypatch.setattr(limits, "WINDOW_S", 86_400)
    with settings_of(env | {"TRUSTED_PROXIES": "1", "RATE_LIMIT_PER_MINUTE": str(LIMIT)}):
        accounts = serve("accounts")

        def left(number: int, method: str, path: str) -> str:
            """Send a request that is refused, as a client of its own; return what is left to the client."""
            client = {"X-Forwarded-For": f"198.51.100.{number}"}
            answer: httpx.Response = accounts.request(method, path, json={}, headers=client)
            return answer.headers["ratelimit"].partition(";t=")[0]

        found = {route: left(number, *route) for number, route in enumerate(COSTS, start=1)}
        assert found == {route: f'"minute";r={LIMIT - cost}' for route, cost in COSTS.items()}
