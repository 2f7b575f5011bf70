"""What a request counts in the rate limit: one that hashes a password, or mails, as much as many cheap ones."""

import httpx
import pytest

from tests.integration.conftest import Serve, settings_of

LIMIT = 100
# routes by what a request of theirs counts
COSTS = {
    40: "POST /auth/password",
    20: "POST /auth/login, POST /auth/register, POST /auth/password-reset, POST /auth/set-password, "
    "POST /auth/verification, PATCH /users/me",
    1: "POST /auth/guest, POST /auth/refresh, POST /auth/logout, PUT /users/me/location, GET /nowhere",
}


@pytest.mark.usefixtures("one_window")
def test_what_hashes_or_mails_counts_as_many_requests(env: dict[str, str], serve: Serve) -> None:
    with settings_of(env | {"TRUSTED_PROXIES": "1", "RATE_LIMIT_PER_MINUTE": str(LIMIT)}):
        accounts = serve("accounts")

        def left(number: int, route: str) -> str:
            """Send a request that is refused, as a client of its own; return what is left to the client."""
            method, path = route.split()
            client = {"X-Forwarded-For": f"198.51.100.{number}"}
            answer: httpx.Response = accounts.request(method, path, json={}, headers=client)
            return answer.headers["ratelimit"].partition(";t=")[0]

        expected = {
            route: f'"minute";r={LIMIT - cost}' for cost, routes in COSTS.items() for route in routes.split(", ")
        }
        assert {route: left(number, route) for number, route in enumerate(expected, start=1)} == expected
