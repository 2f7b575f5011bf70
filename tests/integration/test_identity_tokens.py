"""Identity tokens of the shop's own issuer, against a JWKS server on this machine."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from shared import clients, identity_tokens
from tests.integration.conftest import Environment
from tests.integration.people import bearer, register

ISSUER, AUDIENCE = "https://login.shop.example", "storefront"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public(kid: str, key: Any) -> dict[str, Any]:
    algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    document: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return document | {"kid": kid, "use": "sig"}


class Jwks:
    """A JWKS server whose keys and status can be changed; counts its requests."""

    def __init__(self) -> None:
        self.keys = [public("rsa-1", RSA_KEY), public("ec-1", EC_KEY)]
        self.status = 200
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                body = json.dumps({"keys": outer.keys}).encode()
                self.send_response(outer.status if self.path == "/jwks.json" else 200)
                if outer.status == 302:
                    self.send_header("Location", "/elsewhere.json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"


@pytest.fixture
def jwks() -> Iterator[Jwks]:
    """A JWKS server for one test."""
    server = Jwks()
    thread = threading.Thread(target=server.server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.server.shutdown()
    thread.join()
    server.server.server_close()


@pytest.fixture(autouse=True)
def cloud(module_env: Environment, jwks: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The issuer is configured, and the shop's ids are not trusted."""
    monkeypatch.setenv("TRUST_SHOP_IDS", "false")
    issuers = [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": jwks.url}]
    monkeypatch.setenv("IDENTITY_ISSUERS", json.dumps(issuers))
    clients.reset()


def token(user_id: Any = "17850", key: Any = RSA_KEY, kid: str = "rsa-1", algorithm: str = "RS256", **more: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "exp": int(time.time()) + 60} | more
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None}, key, algorithm, {"kid": kid}
    )


Serve = Callable[[str], httpx.Client]


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:aisle:problem:")


def test_a_token_of_the_issuer_opens_its_subject_and_nobody_else(serve: Serve) -> None:
    cart = serve("cart")
    for mine in (token(), token(key=EC_KEY, kid="ec-1", algorithm="ES256"), token(aud=["other", AUDIENCE])):
        assert cart.get("/cart", headers=bearer(mine)).status_code == 200
        assert cart.get("/cart?user_id=17850", headers=bearer(mine)).status_code == 200
        assert slug(cart.get("/cart?user_id=17851", headers=bearer(mine))) == (403, "forbidden")
    assert cart.get("/cart?user_id=17850").status_code == 401


def test_the_keys_are_read_once(serve: Serve, jwks: Jwks) -> None:
    cart = serve("cart")
    for number in range(5):
        assert cart.get("/cart", headers=bearer(token(f"user-{number}"))).status_code == 200
    assert jwks.requests == 1


def test_the_hot_path_takes_identity_tokens(serve: Serve) -> None:
    recommendations, path = serve("recommendations"), "/recommendations?k=3"
    first, again = (recommendations.get(path, headers=bearer(token())).json() for _ in range(2))
    assert first["user_id"] == "17850"
    assert first["recommendation_id"] == again["recommendation_id"]
    assert recommendations.get(path + "&user_id=17850").status_code == 401


def unsigned() -> str:
    return jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "17850", "exp": 2**33}, None, "none", {"kid": "rsa-1"})


def with_header(header: dict[str, Any], secret: bytes) -> str:
    """A token with any header, signed by HMAC: PyJWT refuses to make such tokens."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "17850", "exp": 2**33}
    text = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"


def by_public_key() -> str:
    """A token whose HMAC secret is the public key that everybody can read."""
    secret = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return with_header({"alg": "HS256", "typ": "JWT", "kid": "rsa-1"}, secret)


BAD = {
    "another audience": lambda: token(aud="admin-console"),
    "no audience": lambda: token(aud=None),
    "another issuer": lambda: token(iss="https://evil.example"),
    "no subject": lambda: token(None),
    "an empty subject": lambda: token(""),
    "a control character": lambda: token("17850\x00"),
    "no expiry": lambda: token(exp=None),
    "another key": lambda: token(key=OTHER_RSA_KEY),
    "an unknown key id": lambda: token(kid="rsa-2"),
    "another algorithm of the same key": lambda: token(algorithm="RS512"),
    "not valid yet": lambda: token(nbf=int(time.time()) + 10),
    "no algorithm": unsigned,
    "HMAC with the public key": by_public_key,
    "a key id that is no text": lambda: with_header({"alg": "RS256", "kid": 1}, b""),
    "no key id": lambda: with_header({"alg": "RS256"}, b""),
    "an account": lambda: token("acct_" + "1" * 32),
    "a guest": lambda: token("guest_" + "1" * 32),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_token_with_one_fault_is_refused(serve: Serve, fault: str) -> None:
    cart = serve("cart")
    assert slug(cart.get("/cart", headers=bearer(BAD[fault]()))) == (401, "invalid-token")
    assert cart.get("/cart", headers=bearer(token())).status_code == 200


def test_a_token_ends_in_its_second(serve: Serve) -> None:
    cart, now = serve("cart"), int(time.time())
    assert slug(cart.get("/cart", headers=bearer(token(exp=now)))) == (401, "token-expired")
    assert cart.get("/cart", headers=bearer(token(exp=now + 5))).status_code == 200


def test_no_identity_token_is_staff_or_an_account(serve: Serve) -> None:
    account = register(serve("accounts"), "staff")["user_id"]
    assert serve("admin").get("/admin/dashboard", headers=bearer(token(role="admin"))).status_code == 401
    mine = bearer(token("17850", role="admin"))
    assert serve("cart").get(f"/cart?user_id={account}", headers=mine).status_code == 403


def test_a_new_key_is_read_at_once_but_strangers_cannot_make_us_ask_again(
    serve: Serve, jwks: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    cart = serve("cart")
    assert cart.get("/cart", headers=bearer(token())).status_code == 200
    jwks.keys = [public("rsa-2", OTHER_RSA_KEY)]
    rotated = bearer(token(key=OTHER_RSA_KEY, kid="rsa-2"))
    # within the pause the new key stays unknown, however many ask
    for number in range(20):
        assert cart.get("/cart", headers=bearer(token(kid=f"made-up-{number}"))).status_code == 401
    assert cart.get("/cart", headers=rotated).status_code == 401
    assert jwks.requests == 1
    monkeypatch.setattr(identity_tokens, "COOLDOWN_S", 0.0)
    assert cart.get("/cart", headers=rotated).status_code == 200
    # the withdrawn key's signature is forgotten with the key
    assert cart.get("/cart", headers=bearer(token())).status_code == 401


@pytest.mark.parametrize("status", [302, 404, 500])
def test_keys_that_cannot_be_read_are_an_outage_and_no_wrong_token(serve: Serve, jwks: Jwks, status: int) -> None:
    jwks.status = status
    assert slug(serve("cart").get("/cart", headers=bearer(token()))) == (503, "unavailable")


def test_known_keys_outlive_an_outage_of_the_issuer_but_not_for_ever(
    serve: Serve, jwks: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    cart = serve("cart")
    assert cart.get("/cart", headers=bearer(token())).status_code == 200
    jwks.status = 500
    monkeypatch.setattr(identity_tokens, "COOLDOWN_S", 0.0)
    monkeypatch.setattr(identity_tokens, "KEYS_S", 0.0)
    assert cart.get("/cart", headers=bearer(token())).status_code == 200
    assert jwks.requests > 1
    monkeypatch.setattr(identity_tokens, "STALE_KEYS_S", 0.0)
    assert cart.get("/cart", headers=bearer(token())).status_code == 503


def test_a_guest_merged_by_its_identity_token(serve: Serve) -> None:
    accounts = serve("accounts")
    register(accounts, "merging")
    body = {"email": "merging@example.com", "password": "a plum in the rain", "guest_user_id": "17850"}
    assert accounts.post("/auth/login", json=body, headers=bearer(token("17851"))).status_code == 403
    assert accounts.post("/auth/login", json=body, headers=bearer(token())).status_code == 200
