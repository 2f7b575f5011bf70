"""API keys on the wire: made, listed, used, kept out of URLs and browsers, revoked."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.clients import postgres, redis_sync
from shared.http import revocations
from shared.manifest import manifest
from tests.integration.conftest import Environment
from tests.integration.people import ADMIN, bearer, register

KEYS = "/admin/api-keys"


@pytest.fixture(autouse=True)
def cloud(module_env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the cloud: the shop's own ids are not trusted. The revoked keys are read anew."""
    from shared import clients

    monkeypatch.setenv("TRUST_SHOP_IDS", "false")
    clients.reset()


@pytest.fixture
def shop(cloud: None) -> Iterator[httpx.Client]:
    """Every function behind one address."""
    from local.apps import create
    from local.gateway import gateway
    from tests.integration.conftest import Server

    with Server(gateway(manifest(), create)) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def made(shop: httpx.Client, kind: str = "secret", name: str = "shop server") -> dict[str, Any]:
    answer = shop.post(KEYS, json={"kind": kind, "name": name}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    key: dict[str, Any] = answer.json()
    return key


def by(key: dict[str, Any]) -> dict[str, str]:
    return {"X-API-Key": key["key"]}


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:aisle:problem:")


def test_the_first_key_is_made_with_the_admin_token_shown_once_and_audited(shop: httpx.Client) -> None:
    key = made(shop, name="first")
    listed = next(entry for entry in shop.get(KEYS, headers=ADMIN).json()["api_keys"] if entry["id"] == key["id"])
    assert listed == {name: value for name, value in key.items() if name != "key"}
    assert (listed["created_by"], listed["revoked_at"]) == ("admin-token", None)
    secret = key["key"].split("_")[2]
    for table in ("api_keys", "audit_log", "idempotency_keys"):
        assert not any(secret in str(row) for row in postgres.read(f"SELECT * FROM {table}")), table
    entry = shop.get("/admin/audit-log", headers=ADMIN).json()["entries"][0]
    assert (entry["action"], entry["subject"]) == ("api-key.add", key["id"])
    assert entry["after"] == {"kind": "secret", "name": "first"}


def test_only_admins_make_list_and_revoke_keys(shop: httpx.Client) -> None:
    key = made(shop)
    user = bearer(register(shop, "nosy"))
    for headers, expected in (({}, 401), (by(key), 401), (user, 403)):
        assert shop.get(KEYS, headers=headers).status_code == expected
        assert shop.post(KEYS, json={"kind": "secret", "name": "x"}, headers=headers).status_code == expected
        assert shop.delete(f"{KEYS}/{key['id']}", headers=headers).status_code == expected


@pytest.mark.parametrize(
    "body", [{}, {"kind": "secret"}, {"kind": "root", "name": "x"}, {"kind": "secret", "name": ""}]
)
def test_a_key_needs_a_kind_and_a_name(shop: httpx.Client, body: dict[str, str]) -> None:
    assert shop.post(KEYS, json=body, headers=ADMIN).status_code == 422


def test_a_secret_key_acts_for_any_user_and_a_publishable_one_for_none(shop: httpx.Client) -> None:
    account, secret, publishable = register(shop, "served"), made(shop), made(shop, "publishable")
    for user_id in ("17850", account["user_id"]):
        path = f"/cart?user_id={user_id}"
        assert slug(shop.get(path)) == (401, "unauthorized")
        assert slug(shop.get(path, headers=by(publishable))) == (401, "unauthorized")
        assert shop.get(path, headers=by(secret)).status_code == 200
    export = shop.get("/users/me/export", params={"user_id": account["user_id"]}, headers=by(secret))
    assert "served" in export.text
    assert export.status_code == 200


def test_no_key_is_needed_to_read_the_catalog_and_a_wrong_one_is_refused(shop: httpx.Client) -> None:
    key = made(shop)["key"]
    for path in ("/products?page_size=1", "/popular?k=1", "/trending?k=1"):
        assert shop.get(path).status_code == 200
        assert shop.get(path, headers={"X-API-Key": key}).status_code == 200
        for wrong in (key[:-1] + ("0" if key[-1] != "0" else "1"), "pk" + key[2:], "nonsense", ""):
            assert slug(shop.get(path, headers={"X-API-Key": wrong})) == (401, "invalid-api-key")


def test_a_publishable_key_in_the_url_is_taken_out_before_validation_and_stored_answers(shop: httpx.Client) -> None:
    key = made(shop, "publishable")["key"]
    guest = shop.post("/auth/guest").json()["user_id"]
    # unknown parameters are refused: this one is not seen
    assert shop.get(f"/products?key={key}&page_size=1").status_code == 200
    first = shop.get(f"/recommendations?user_id={guest}&key={key}&k=3").json()
    again = shop.get(f"/recommendations?user_id={guest}&k=3").json()
    assert first["recommendation_id"] == again["recommendation_id"]
    fields = redis_sync.client().hkeys(f"rec:{guest}")
    assert fields
    assert not any(b"pk_" in field for field in fields)
    assert slug(shop.get("/products?key=nonsense")) == (401, "invalid-api-key")
    other = made(shop, "publishable")["key"]
    assert slug(shop.get(f"/products?key={key}", headers={"X-API-Key": other})) == (401, "invalid-api-key")


def test_a_secret_key_in_a_url_or_from_a_browser_is_refused(shop: httpx.Client) -> None:
    secret, publishable = made(shop), made(shop, "publishable")
    origin = {"Origin": "https://shop.example"}
    for path in ("/products", "/recommendations?user_id=17850", "/cart?user_id=17850"):
        answer = shop.get(path, params={"key": secret["key"]} | dict(httpx.QueryParams(path.partition("?")[2])))
        assert slug(answer) == (403, "forbidden")
        assert secret["key"] not in answer.text
        assert slug(shop.get(path, headers=by(secret) | origin)) == (403, "forbidden")
    assert shop.get("/products", headers=by(publishable) | origin).status_code == 200
    asked = origin | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    assert shop.options("/products", headers=asked).status_code == 200


def test_a_stored_recommendation_is_given_to_a_secret_key_and_to_nobody_else(shop: httpx.Client) -> None:
    secret, publishable = made(shop), made(shop, "publishable")
    path = "/recommendations?user_id=17850&k=3"
    first, again = (shop.get(path, headers=by(secret)) for _ in range(2))
    assert first.json()["recommendation_id"] == again.json()["recommendation_id"]
    for headers in ({}, by(publishable), {"X-API-Key": "sk_" + "0" * 12}):
        assert shop.get(path, headers=headers).status_code == 401


def test_events_take_a_secret_key_for_an_account(shop: httpx.Client) -> None:
    account, secret = register(shop, "buyer"), made(shop)
    event = {"user_id": account["user_id"], "product_id": 1, "event_type": "view"}
    assert shop.post("/events", json=event).status_code == 401
    assert shop.post("/events", json=event, headers=by(made(shop, "publishable"))).status_code == 401
    assert shop.post("/events", json=event, headers=by(secret)).status_code == 202
    batch = shop.post("/events/batch", json={"events": [event, event]}, headers=by(secret))
    assert batch.json()["accepted"] == 2


def until_refused(shop: httpx.Client, headers: dict[str, str], timeout_s: float = 60) -> httpx.Response:
    deadline = time.monotonic() + timeout_s
    while (answer := shop.get("/cart?user_id=17850", headers=headers)).status_code == 200:
        assert time.monotonic() < deadline, "the key is still accepted"
        time.sleep(0.05)
    return answer


def test_a_revoked_key_is_refused_and_others_are_not(shop: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "SYNC_S", 0.1)
    leaked, bystander = made(shop), made(shop)
    assert shop.get("/cart?user_id=17850", headers=by(leaked)).status_code == 200
    assert shop.delete(f"{KEYS}/{leaked['id']}", headers=ADMIN).status_code == 204
    assert slug(until_refused(shop, by(leaked))) == (401, "invalid-api-key")
    # on the hot path, and where no key is needed, likewise
    for path in ("/recommendations?user_id=17850&k=3", "/products"):
        assert shop.get(path, headers=by(leaked)).status_code == 401
        assert shop.get(path, headers=by(bystander)).status_code == 200
    # again changes nothing, and is audited once
    assert shop.delete(f"{KEYS}/{leaked['id']}", headers=ADMIN).status_code == 204
    assert slug(shop.delete(f"{KEYS}/{'0' * 12}", headers=ADMIN)) == (404, "not-found")
    listed = {entry["id"]: entry["revoked_at"] for entry in shop.get(KEYS, headers=ADMIN).json()["api_keys"]}
    assert listed[leaked["id"]] is not None
    assert listed[bystander["id"]] is None
    entries = shop.get("/admin/audit-log", headers=ADMIN).json()["entries"]
    assert [entry["action"] for entry in entries if entry["subject"] == leaked["id"]] == [
        "api-key.revoke",
        "api-key.add",
    ]


def test_a_new_instance_refuses_a_revoked_key_at_its_first_request(shop: httpx.Client) -> None:
    from shared import clients

    leaked, bystander = made(shop), made(shop)
    shop.delete(f"{KEYS}/{leaked['id']}", headers=ADMIN)
    for path in ("/cart?user_id=17850", "/recommendations?user_id=17850&k=3"):
        # so that the hot path has an answer to give
        assert shop.get(path, headers=by(bystander)).status_code == 200
        clients.reset()
        assert not revocations.is_known()
        assert slug(shop.get(path, headers=by(leaked))) == (401, "invalid-api-key")


def test_revocation_is_learnt_without_redis(
    shop: httpx.Client, module_env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared import clients

    leaked, bystander = made(shop), made(shop)
    shop.delete(f"{KEYS}/{leaked['id']}", headers=ADMIN)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    clients.reset()
    assert shop.get("/cart?user_id=17850", headers=by(leaked)).status_code == 401
    assert shop.get("/cart?user_id=17850", headers=by(bystander)).status_code == 200


def test_the_copy_in_redis_lives_no_longer_than_promised(shop: httpx.Client) -> None:
    from shared.storage.operations.api_keys import REVOKED_COPY_S, REVOKED_KEY

    shop.get("/cart?user_id=17850", headers=by(made(shop)))
    assert 0 < redis_sync.client().ttl(REVOKED_KEY) <= REVOKED_COPY_S
    assert revocations.MAX_DELAY_S == REVOKED_COPY_S + revocations.SYNC_S


def test_a_user_token_opens_its_shop_s_user_and_no_other(shop: httpx.Client) -> None:
    secret = made(shop)
    path = "/auth/user-token"
    answer = shop.post(path, json={"user_id": "17850"}, headers=by(secret))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    token = answer.json()
    assert (token["user_id"], token["expires_in"]) == ("17850", 1800)
    mine = bearer(token)
    assert shop.get("/cart", headers=mine).status_code == 200
    assert shop.get("/recommendations?k=3", headers=mine | {"Origin": "https://shop.example"}).status_code == 200
    assert shop.get("/cart?user_id=17851", headers=mine).status_code == 403
    assert shop.get("/admin/dashboard", headers=mine).status_code == 403
    # only the shop's server gets one, and only for the shop's own ids
    for headers in ({}, by(made(shop, "publishable")), mine, ADMIN):
        assert shop.post(path, json={"user_id": "17850"}, headers=headers).status_code == 401
    for user_id in ("acct_" + "1" * 32, "guest_" + "1" * 32, "", "\x00"):
        assert shop.post(path, json={"user_id": user_id}, headers=by(secret)).status_code == 422


def test_a_merge_needs_the_proof_of_the_guest(shop: httpx.Client) -> None:
    """17850 could be read, merged into a stranger's account and erased by anybody."""
    secret = made(shop)
    guest = shop.post("/auth/guest").json()
    person = {"email": "mallory@example.com", "password": "a plum in the rain"}
    for guest_id in ("17850", guest["user_id"]):
        body = person | {"username": "mallory", "guest_user_id": guest_id}
        assert slug(shop.post("/auth/register", json=body)) == (401, "unauthorized")
    stranger = register(shop, "mallory")
    for guest_id in ("17850", guest["user_id"]):
        body = person | {"guest_user_id": guest_id}
        assert slug(shop.post("/auth/login", json=body)) == (401, "unauthorized")
        assert slug(shop.post("/auth/login", json=body, headers=bearer(stranger))) == (403, "forbidden")
        assert slug(shop.post("/auth/login", json=body, headers=bearer("a.b.c"))) == (401, "invalid-token")
    merged = "SELECT external_id FROM users WHERE merged_into IS NOT NULL"
    assert guest["user_id"] not in {row[0] for row in postgres.read(merged)}
    # without guest_user_id a stale token hinders no login
    assert shop.post("/auth/login", json=person, headers=bearer("a.b.c")).status_code == 200
    proven = person | {"guest_user_id": guest["user_id"]}
    assert shop.post("/auth/login", json=proven, headers=bearer(guest)).status_code == 200
    assert guest["user_id"] in {row[0] for row in postgres.read(merged)}
    by_key = person | {"guest_user_id": "17850"}
    shop.put("/wishlist?user_id=17850", json={"product_id": 1}, headers=by(secret))
    assert shop.post("/auth/login", json=by_key, headers=by(secret)).status_code == 200


def test_erasure_by_the_shop_s_server_erases_that_user_only(shop: httpx.Client) -> None:
    secret, victim, bystander = made(shop), register(shop, "gone"), register(shop, "stays")
    path = f"/users/me?user_id={victim['user_id']}"
    assert shop.delete(path).status_code == 401
    assert shop.delete(path, headers=bearer(bystander)).status_code == 403
    assert shop.delete(path, headers=by(made(shop, "publishable"))).status_code == 401
    assert shop.delete(path, headers=by(secret)).status_code == 204
    left = {row[0] for row in postgres.read("SELECT external_id FROM users")}
    assert victim["user_id"] not in left
    assert bystander["user_id"] in left


def test_the_smoke_test_takes_a_key(
    shop: httpx.Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from delivery import smoke

    url = str(shop.base_url)
    assert smoke.main(["--url", url]) == 0
    monkeypatch.setenv(smoke.KEY_VARIABLE, made(shop)["key"])
    assert smoke.main(["--url", url]) == 0
    assert capsys.readouterr().out.count("ok ") == 2 * len(smoke.CHECKS) + len(smoke.WITH_KEY)
    monkeypatch.setenv(smoke.KEY_VARIABLE, made(shop, "publishable")["key"])
    assert smoke.main(["--url", url]) == 1


def test_a_secret_key_reads_the_searches_of_the_user_that_it_names(shop: httpx.Client) -> None:
    secret, guests = by(made(shop)), [shop.post("/auth/guest").json() for _ in range(2)]
    for guest, text in zip(guests, ("lamps", "bags"), strict=True):
        assert shop.get("/products", params={"search": text}, headers=bearer(guest)).status_code == 200
    for guest, text in zip(guests, ("lamps", "bags"), strict=True):
        query = {"user_id": guest["user_id"], "page_size": 1}
        page = shop.get("/users/me/search-history", params=query, headers=secret).json()
        assert [search["query"] for search in page["searches"]] == [text]
    unknown = {"user_id": guests[0]["user_id"], "colour": "red"}
    assert shop.get("/users/me/search-history", params=unknown, headers=secret).status_code == 422


def test_a_key_or_a_token_for_a_user_of_whom_nothing_is_stored_is_not_called_wrong(shop: httpx.Client) -> None:
    known, secret = shop.post("/auth/guest").json(), by(made(shop))
    token = shop.post("/auth/user-token", json={"user_id": "unheard-of"}, headers=secret).json()
    location = {"latitude": 1, "longitude": 2}
    routes = [
        ("GET", "/users/me", {}),
        ("PUT", "/users/me/location", {"json": location}),
        ("DELETE", "/users/me/location", {}),
        ("GET", "/users/me/preferences", {}),
        ("GET", "/users/me/export", {}),
        ("DELETE", "/users/me", {}),
    ]
    for method, path, options in routes:
        for user_id in ("unheard-of", "acct_unknown", "guest_unknown"):
            answer = shop.request(method, f"{path}?user_id={user_id}", headers=secret, **options)
            assert slug(answer) == (404, "not-found"), path
            assert user_id in answer.json()["detail"]
        assert slug(shop.request(method, path, headers=bearer(token), **options)) == (404, "not-found"), path
        assert shop.request(method, f"{path}?user_id=unheard-of", **options).status_code == 401
    # a guest's own token belongs to somebody: once they are gone, the token is wrong
    assert shop.get("/users/me", headers=bearer(known)).status_code == 200
    assert shop.delete("/users/me", headers=bearer(known)).status_code == 204
    assert slug(shop.get("/users/me", headers=bearer(known))) == (401, "invalid-token")
