"""Who may call the private routes of the local system: which requests pass, and which token opens a route."""

import pytest

from local.doors import bearer, check_request, matches
from shared.errors import AppError

PROGRAM = {"host": "localhost:8080", "content-type": "application/json"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"host": "127.0.0.1"},
        {"host": "LOCALHOST:1"},
        {"content-type": "application/json; charset=utf-8"},
        {"content-type": " Application/JSON "},
        # a person opened the address
        {"sec-fetch-site": "none"},
    ],
)
def test_a_program_of_this_machine_passes(more: dict[str, str]) -> None:
    check_request(PROGRAM | more)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"host": ""}, 403),
        ({"host": "["}, 403),
        ({"host": "localhost.evil.example"}, 403),
        ({"host": "evil.example:8080"}, 403),
        ({"host": "user@evil.example"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:8080"}, 403),
        ({"sec-fetch-site": "same-origin"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": ""}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "text/plain; application/json"}, 415),
        ({"content-type": "application/jsonp"}, 415),
    ],
)
def test_what_a_web_page_can_send_is_refused(more: dict[str, str], status: int) -> None:
    with pytest.raises(AppError) as refused:
        check_request(PROGRAM | more)
    assert refused.value.status == status


@pytest.mark.parametrize("name", ["host", "content-type"])
def test_a_request_without_a_header_that_is_checked_is_refused(name: str) -> None:
    with pytest.raises(AppError):
        check_request({header: value for header, value in PROGRAM.items() if header != name})


def test_a_token_opens_only_what_expects_it() -> None:
    assert matches("a token", "a token")
    for presented in ("", "a toke", "a token ", "another", "é"):
        assert not matches(presented, "a token")
    # a route whose token is not set is closed
    for presented in ("", "a token"):
        assert not matches(presented, "")


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer a-token", "a-token"),
        ("bearer  a-token ", "a-token"),
        ("Basic a-token", ""),
        ("a-token", ""),
        ("Bearer", ""),
        ("", ""),
    ],
)
def test_a_token_is_taken_from_its_own_scheme(authorization: str, token: str) -> None:
    assert bearer({"authorization": authorization} if authorization else {}) == token
