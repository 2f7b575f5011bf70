"""Send a deployment the requests of a shopper, and check the answers.

    python3 -m delivery.smoke --outputs build/outputs.json  a deployment, by terraform output -json
    python3 -m delivery.smoke --url http://localhost:8080   a system by its address, as the local one

It writes one event, of a guest that does not exist. With a secret API key in AISLE_API_KEY it also asks for the data of
a user of the shop's own. With AISLE_EMAIL and AISLE_PASSWORD it logs in to that account, reads its profile, and the
dashboard if it is an admin's, and logs out. Exits with 1 if an answer is wrong.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from delivery import http, outputs

TIMEOUT_S = 30
# the first request after a deployment starts an instance
ATTEMPTS = 5
PAUSE_S = 3.0
# nobody's; a guest's id needs no credential
USER = "guest_" + "5" * 32
# a key in an argument would be in every list of processes
KEY_VARIABLE = "AISLE_API_KEY"
EMAIL_VARIABLE, PASSWORD_VARIABLE = "AISLE_EMAIL", "AISLE_PASSWORD"


class Check(NamedTuple):
    """A request, and whether a status and body are a correct answer to it. With ``body`` the request is a POST.

    ``with_key``: the request carries the API key. ``token``: it carries this access token.
    """

    path: str
    title: str
    is_correct: Callable[[int, Any], bool]
    body: dict[str, Any] | None = None
    with_key: bool = False
    token: str | None = None


CHECKS = (
    Check("/products?page_size=1", "a page of products", lambda status, body: status == 200 and "products" in body),
    Check(
        "/products?colour=red", "unknown parameters are refused", lambda status, body: status == 422 and "type" in body
    ),
    Check("/popular?k=3", "popular products", lambda status, body: status == 200 and "products" in body),
    Check("/trending?window=7d&k=3", "trending products", lambda status, body: status == 200 and "products" in body),
    Check(
        f"/recommendations?user_id={USER}&k=3",
        "recommendations for a new user",
        lambda status, body: status == 200 and bool(body.get("strategy")),
    ),
    Check("/admin/dashboard", "administration is closed", lambda status, _body: status in (401, 403)),
    Check(
        "/events",
        "an event is accepted",
        lambda status, body: status == 202 and bool(body.get("event_id")),
        {"user_id": USER, "product_id": 1, "event_type": "view"},
    ),
)
# the same questions for a user of the shop's own, for whom a deployment needs the key
WITH_KEY = (
    Check(
        "/recommendations?user_id=smoke-test&k=3",
        "a secret key acts for the shop's user",
        lambda status, body: status == 200 and bool(body.get("strategy")),
        with_key=True,
    ),
    Check(
        "/admin/dashboard",
        "a secret key does not administer",
        lambda status, _body: status in (401, 403),
        with_key=True,
    ),
)


def send(url: str, body: dict[str, Any] | None, key: str | None = None, token: str | None = None) -> tuple[int, Any]:
    """Return status and JSON of the answer, an empty object for no body; status 0 when no answer comes."""
    headers = {"User-Agent": "aisle-smoke"} | ({} if key is None else {"X-API-Key": key})
    headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        answer = (
            http.get(url, headers=headers, timeout_s=TIMEOUT_S)
            if body is None
            else http.post(url, body, headers=headers, timeout_s=TIMEOUT_S)
        )
    except http.NoAnswer as error:
        return 0, {"answer": str(error)}
    try:
        return answer.status, answer.json() if answer.body else {}
    except ValueError:
        return answer.status, {"answer": answer.text(300)}


def smoke(url: str, pause_s: float = PAUSE_S, key: str | None = None) -> list[str]:
    """Run every check on the deployment at ``url`` and return what is wrong, one line each.

    ``key`` is a secret API key; without it the checks that need it are left out.
    """
    faults: list[str] = []
    for check in CHECKS if key is None else CHECKS + WITH_KEY:
        ask(url, check, pause_s, faults, key)
    return faults


def ask(base: str, check: Check, pause_s: float, faults: list[str], key: str | None = None) -> dict[str, Any] | None:
    """Run a check and return the answer's body; None if it is wrong, which is then added to ``faults``."""
    url = base.rstrip("/") + check.path
    for attempt in range(1, ATTEMPTS + 1):
        began = time.monotonic()
        status, body = send(url, check.body, key if check.with_key else None, check.token)
        took_ms = (time.monotonic() - began) * 1000
        correct = isinstance(body, dict) and check.is_correct(status, body)
        # only a server's error may go away
        if correct or attempt == ATTEMPTS or 0 < status < 500:
            break
        time.sleep(pause_s)
    print(f"{'ok    ' if correct else 'WRONG '} {status:>3} {took_ms:>6.0f} ms  {check.title:<34} {url}")
    if not correct:
        faults.append(f"{check.path}: {status} {json.dumps(body)[:300]}")
        return None
    answer: dict[str, Any] = body
    return answer


def log_in(url: str, email: str, password: str, pause_s: float = PAUSE_S) -> list[str]:
    """Log in to an account, read what it may read, log out, and return what is wrong, one line each.

    The dashboard is read if the account is an admin's.
    """
    faults: list[str] = []
    credentials = {"email": email, "password": password}
    login = Check(
        "/auth/login", "an account logs in", lambda status, body: status == 200 and "access_token" in body, credentials
    )
    session = ask(url, login, pause_s, faults)
    if session is None:
        return faults
    token = session["access_token"]
    profile = Check("/users/me", "its profile is read", lambda status, body: status == 200 and "role" in body)
    user = ask(url, profile._replace(token=token), pause_s, faults)
    if user is not None and user["role"] == "admin":
        dashboard = Check("/admin/dashboard", "an admin reads the dashboard", lambda status, _body: status == 200)
        ask(url, dashboard._replace(token=token), pause_s, faults)
    logout = Check(
        "/auth/logout",
        "the login is ended",
        lambda status, _body: status == 204,
        {"refresh_token": session["refresh_token"]},
    )
    ask(url, logout, pause_s, faults)
    ended = Check("/users/me", "its token has ended", lambda status, _body: status == 401)
    ask(url, ended._replace(token=token), pause_s, faults)
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python3 -m delivery.smoke")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--outputs", help="a file with the output of terraform output -json; - reads standard input")
    source.add_argument("--url", help="the address that serves every path")
    chosen = parser.parse_args(arguments)
    email, password = os.environ.get(EMAIL_VARIABLE), os.environ.get(PASSWORD_VARIABLE)
    if bool(email) != bool(password):
        parser.error(f"set both {EMAIL_VARIABLE} and {PASSWORD_VARIABLE}, or neither")
    url = chosen.url or outputs.required(outputs.read(chosen.outputs), "url")
    faults = smoke(url, key=os.environ.get(KEY_VARIABLE) or None)
    if email and password:
        faults += log_in(url, email, password)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
