"""What the edge does for every function: headers, methods, bodies, and refusals that browsers can read."""

import asyncio
import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from local.openapi import union
from shared.clients.postgres import read
from tests.integration.conftest import settings_of
from tests.integration.shop import add_products
from tests.unit.test_api_description import DOCUMENTS

Serve = Callable[[str], httpx.Client]
STAFF = {"Authorization": "Bearer an-admin-token-for-tests"}
ORIGIN = {"Origin": "https://shop.example"}
VIEW = b'{"user_id": "u1", "product_id": 1, "event_type": "view"}'
FUNCTIONS = ("products", "cart", "accounts", "events", "collect", "recommendations", "admin", "web")


@pytest.fixture(scope="module")
def functions(module_env: dict[str, str]) -> Iterator[dict[str, httpx.Client]]:
    """A client of each HTTP function over one small shop."""
    from contextlib import ExitStack

    from local.apps import create
    from tests.integration.conftest import TLS, Server

    add_products(5)
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                httpx.Client(base_url=stack.enter_context(Server(create(name))).url, timeout=30, verify=TLS)
            )
            for name in FUNCTIONS
        }


def test_every_answer_says_that_it_is_not_to_be_sniffed_and_how_long_it_may_be_kept(
    functions: dict[str, httpx.Client],
) -> None:
    for name, client in functions.items():
        for path in ("/health", "/health/ready", "/openapi.json", "/nowhere"):
            answer = client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff", (name, path)
            assert answer.headers["cache-control"] == "no-store", (name, path)
            assert "strict-transport-security" not in answer.headers
            behind_tls = client.get(path, headers={"X-Forwarded-Proto": "https"})
            assert behind_tls.headers["strict-transport-security"].startswith("max-age=31536000")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("recommendations", "/recommendations"),
        ("recommendations", "/recently-viewed"),
        ("recommendations", "/buy-again"),
        ("cart", "/cart"),
        ("cart", "/orders"),
        ("cart", "/wishlist"),
    ],
)
def test_what_is_personal_is_not_stored_computed_or_cached(
    functions: dict[str, httpx.Client], name: str, path: str
) -> None:
    for _ in range(2):
        answer = functions[name].get(path, params={"user_id": "u1"})
        assert answer.status_code == 200
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_public_catalog_may_still_be_cached(functions: dict[str, httpx.Client]) -> None:
    assert functions["products"].get("/products/1").headers["cache-control"] == "public, max-age=5"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("products", "/products"),
        ("products", "/products/1"),
        ("products", "/products/categories"),
        ("recommendations", "/trending"),
        ("recommendations", "/recommendations?user_id=u1"),
        ("cart", "/cart?user_id=u1"),
        ("events", "/health"),
    ],
)
def test_head_is_taken_wherever_get_is(functions: dict[str, httpx.Client], name: str, path: str) -> None:
    whole, head = functions[name].get(path), functions[name].head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_allow_names_every_method_of_a_path(functions: dict[str, httpx.Client]) -> None:
    assert functions["products"].post("/products/1").headers["allow"] == "DELETE, GET, HEAD, PATCH"
    assert functions["products"].put("/products").headers["allow"] == "DELETE, GET, HEAD, PATCH, POST"
    assert functions["events"].get("/events").headers["allow"] == "POST"
    assert functions["admin"].put("/admin/rules/1").headers["allow"] == "DELETE, PATCH"
    assert functions["events"].head("/events").status_code == 405


def raw(
    client: httpx.Client, method: str, path: str, headers: list[tuple[str, str]], body: Any = b""
) -> tuple[int, Any]:
    address = urlsplit(str(client.base_url))
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.putrequest(method, path)
    for name, value in headers:
        connection.putheader(name, value)
    if isinstance(body, bytes):
        connection.putheader("Content-Length", str(len(body)))
    else:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(message_body=body, encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def test_two_credentials_are_refused_and_one_is_taken(functions: dict[str, httpx.Client]) -> None:
    bearer = ("Authorization", "Bearer an-admin-token-for-tests")
    assert raw(functions["admin"], "GET", "/admin/rules", [bearer])[0] == 200
    status, body = raw(functions["admin"], "GET", "/admin/rules", [bearer, bearer])
    assert (status, orjson.loads(body)["detail"]) == (422, "Send one Authorization header, not several.")
    # the hot path refuses them too
    assert raw(functions["recommendations"], "GET", "/recommendations?user_id=u1", [bearer, bearer])[0] == 422


@pytest.mark.parametrize("size", [131_072, 131_073, 3_000_000])
def test_the_limit_of_a_body_holds_with_and_without_its_length(functions: dict[str, httpx.Client], size: int) -> None:
    body = b'{"user_id": "u1"' + b" " * (size - 17) + b"}"
    assert len(body) == size
    headers = [("Content-Type", "application/json")]
    expected = 413 if size > 131_072 else 422
    parts = [body[start : start + 50_000] for start in range(0, size, 50_000)]
    status, answer = raw(functions["events"], "POST", "/events", headers, iter(parts))
    assert (status, orjson.loads(answer)["status"]) == (expected, expected)
    assert functions["events"].post("/events", content=body, headers=dict(headers)).status_code == expected


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/events", {"Content-Type": "application/json"}, 202),
        ("/events", {"Content-Type": "text/plain;charset=UTF-8"}, 202),
        ("/events", {}, 202),
        ("/events", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("/events", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ("/events", {"Content-Type": "application/json", "Content-Encoding": "identity"}, 202),
    ],
)
def test_an_event_s_media_type(
    functions: dict[str, httpx.Client], path: str, headers: dict[str, str], status: int
) -> None:
    answer = functions["events"].post(path, content=VIEW, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 415:
        assert answer.json()["type"] == "urn:aisle:problem:unsupported-media-type"


def test_a_beacon_may_send_a_batch_and_no_other_route_takes_text(functions: dict[str, httpx.Client]) -> None:
    text = {"Content-Type": "text/plain;charset=UTF-8"}
    answer = functions["events"].post("/events/batch", content=b'{"events": [' + VIEW + b"]}", headers=text)
    assert answer.json()["accepted"] == 1
    for headers in (text, {}):
        refused = functions["cart"].post("/cart/items?user_id=u1", content=b'{"product_id": 1}', headers=headers)
        assert refused.status_code == 415
        assert "application/json" in refused.json()["detail"]
    assert read("SELECT count(*) FROM cart_items")[0][0] == 0


def declared() -> list[tuple[str, str, str]]:
    """Every operation, with values for the parameters of its path."""
    found = []
    for name, document in DOCUMENTS.items():
        for path, methods in document["paths"].items():
            for method in methods:
                filled = path.replace("{name}", "trending").replace("{user_id}", "u1")
                for part in ("product_id", "rule_id", "synonym_id", "version", "run_id", "category_id"):
                    filled = filled.replace(f"{{{part}}}", "1")
                filled = filled.replace("{order_id}", "018f0000-0000-7000-8000-000000000000")
                found.append((name, method.upper(), filled))
    return found


@pytest.mark.parametrize(("name", "method", "path"), declared())
def test_an_unknown_query_parameter_is_refused_on_every_route(
    functions: dict[str, httpx.Client], name: str, method: str, path: str
) -> None:
    params = {"user_id": "u1"} if name in ("cart", "recommendations") else {}
    answer = functions[name].request(method, path, params=params | {"unknown_parameter": "1"}, headers=STAFF)
    if answer.status_code in (401, 403):
        return
    assert answer.status_code == 422, (answer.status_code, answer.text[:300])
    assert "unknown_parameter" in answer.text


def test_a_body_is_refused_where_none_is_declared(functions: dict[str, httpx.Client]) -> None:
    assert functions["accounts"].post("/auth/guest", json={"role": "admin"}).status_code == 422
    assert functions["accounts"].post("/auth/guest", json={}).status_code == 201
    assert functions["accounts"].post("/auth/guest").status_code == 201
    assert functions["admin"].post("/admin/cache/flush", json={"scope": "x"}, headers=STAFF).status_code == 422
    assert functions["admin"].post("/admin/cache/flush", headers=STAFF).status_code == 200


TRACKING = "utm_source=a&utm_medium=b&gclid=x&fbclid=y&_ga=1.2&_gl=3&_=1700000000&msclkid&wbraid=&gbraid=q&utm_id=1"


def test_tracking_parameters_are_removed_from_reads(functions: dict[str, httpx.Client]) -> None:
    shop, mine = functions["recommendations"], "user_id=u1&k=3"
    plain = shop.get(f"/recommendations?{mine}").json()
    for query in (f"{TRACKING}&{mine}", f"user_id=u1&{TRACKING}&k=3", f"{mine}&{TRACKING}"):
        # the same stored answer: they split no cache
        assert shop.get(f"/recommendations?{query}").json() == plain, query
    assert functions["products"].get(f"/products/1?{TRACKING}").status_code == 200
    assert functions["products"].head(f"/products/1?{TRACKING}").status_code == 200
    for other in ("utm_sources=a", "utm=1", "__=1", "xgclid=1", "gclidx=1", "ga=1"):
        assert functions["products"].get(f"/products/1?{other}").status_code == 422, other
    # a write is no link that somebody followed
    assert functions["cart"].delete("/cart?user_id=u1&gclid=x").status_code == 422


@pytest.mark.parametrize(("count", "status"), [(100, 422), (101, 422)])
def test_the_number_of_query_parameters_is_bounded(functions: dict[str, httpx.Client], count: int, status: int) -> None:
    answer = functions["products"].get("/products?" + "&".join(["tags=a"] * count))
    assert answer.status_code == status, answer.text
    # up to the bound it is the function that refuses them, and names the rule
    assert ("at most 20 tags" in answer.text) is (count == 100)
    assert functions["products"].get("/products?search=" + "a" * 8_192).status_code == 422


def test_a_problem_lists_twenty_errors(functions: dict[str, httpx.Client]) -> None:
    event = orjson.loads(VIEW) | {f"unknown{number}": 1 for number in range(40)}
    problem = functions["events"].post("/events", json=event).json()
    assert len(problem["errors"]) == 20
    assert problem["detail"].endswith("(and 39 more)")
    nineteen = orjson.loads(VIEW) | {f"unknown{number}": 1 for number in range(19)}
    assert len(functions["events"].post("/events", json=nineteen).json()["errors"]) == 19


def test_a_batch_of_nonsense_is_answered_with_less_than_was_sent(functions: dict[str, httpx.Client]) -> None:
    nonsense = {f"unknown{number}": "x" for number in range(19)}
    good = orjson.loads(VIEW)
    answer = functions["events"].post("/events/batch", json={"events": [good, *[nonsense] * 499]})
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] == 1
    assert len(answer.json()["rejected"]) == 499
    assert sum(len(entry["problem"].get("errors", ())) for entry in answer.json()["rejected"]) <= 40
    assert all(entry["problem"]["detail"] for entry in answer.json()["rejected"])
    assert len(answer.content) < 150_000
    hostile = functions["events"].post("/events/batch", json={f"f{number}": 1 for number in range(70_000)})
    assert (hostile.status_code, len(hostile.content) < 1_000) == (422, True)


@contextmanager
def configured(env: dict[str, str], *names: str, **values: str) -> Iterator[None]:
    """Apply settings that the edges of these functions read once, and forget whom they counted."""

    def renew() -> None:
        for name in names:
            edge = import_module(f"functions.{name}.main").app.state.edge
            edge.__dict__.pop("stack", None)
            edge.limiter.clients.clear()
            edge.pace.clients.clear()

    with settings_of(env | values):
        renew()
        try:
            yield
        finally:
            renew()


@pytest.mark.usefixtures("one_window")
def test_refusals_of_the_edge_can_be_read_by_a_browser(env: dict[str, str], serve: Serve) -> None:
    with configured(env, "events", RATE_LIMIT_PER_MINUTE="3", CORS_ORIGINS="https://shop.example"):
        shop = serve("events")
        long = shop.post("/events", content=b" " * 200_000, headers=ORIGIN | {"Content-Type": "application/json"})
        nul = shop.get("/health?x=%00", headers=ORIGIN)
        shop.get("/nowhere")
        shop.get("/nowhere")
        limited = shop.get("/nowhere", headers=ORIGIN)
        foreign = shop.get("/nowhere", headers={"Origin": "https://other.example"})
        preflight = shop.options(
            "/events",
            headers=ORIGIN
            | {
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "x-api-key, tracestate, baggage, content-type",
            },
        )
    assert (long.status_code, nul.status_code, limited.status_code) == (413, 422, 429)
    for answer in (long, nul, limited):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["timing-allow-origin"] == "https://shop.example"
        assert "Origin" in answer.headers["vary"]
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert int(limited.headers["retry-after"]) > 0
    assert foreign.status_code == 429
    assert "access-control-allow-origin" not in foreign.headers
    assert "timing-allow-origin" not in foreign.headers
    # a preflight is neither limited nor counted
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"


def test_further_request_headers_are_a_setting(env: dict[str, str], serve: Serve) -> None:
    asked = ORIGIN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-shop"}
    assert serve("events").options("/events", headers=asked).status_code == 400
    with configured(env, "events", CORS_HEADERS="X-Shop, X-Other"):
        answer = serve("events").options("/events", headers=asked)
    assert answer.status_code == 200
    assert "X-Shop" in answer.headers["access-control-allow-headers"]


def test_an_application_s_answers_may_be_timed_as_they_may_be_read(functions: dict[str, httpx.Client]) -> None:
    for name, path in (("products", "/products/1"), ("recommendations", "/recommendations?user_id=u1")):
        for _ in range(2):
            answer = functions[name].get(path, headers=ORIGIN)
            assert answer.headers["timing-allow-origin"] == "*"
            assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "timing-allow-origin" not in functions["products"].get("/products/1").headers


@pytest.mark.usefixtures("one_window")
def test_the_rate_limit_weighs_what_a_request_costs(env: dict[str, str], serve: Serve) -> None:
    with configured(env, "accounts", "events", RATE_LIMIT_PER_MINUTE="61"):
        accounts, events = serve("accounts"), serve("events")
        login = {"email": "a@example.com", "password": "q"}
        logins = [accounts.post("/auth/login", json=login).status_code for _ in range(4)]
        assert logins == [401, 401, 401, 429]
        assert accounts.get("/nowhere").status_code == 404
        batch = b'{"events": [' + b",".join([VIEW] * 300) + b"]}"
        json = {"Content-Type": "application/json"}
        batches = [events.post("/events/batch", content=batch, headers=json).status_code for _ in range(3)]
        assert batches == [202, 202, 429]


def test_readiness_asks_its_services_once_a_second(
    env: dict[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.http import health

    asked: list[str] = []
    real = health.check
    monkeypatch.setattr(health, "check", lambda service: asked.append(service) or real(service))
    client = serve("products")
    for _ in range(20):
        assert client.get("/health/ready").status_code == 200
        assert client.get("/health").json()["status"] == "healthy"
    assert asked.count("pubsub") == 1
    assert 1 <= asked.count("postgres") <= 10


def test_two_checks_at_the_same_time_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from shared.http import health

    asked: list[str] = []

    def slow(service: str) -> bool:
        asked.append(service)
        time.sleep(0.1)
        return True

    monkeypatch.setattr(health, "check", slow)
    checks = health.Checks()

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(asyncio.to_thread(checks, "redis") for _ in range(8)))

    assert asyncio.run(crowd()) == [True] * 8
    assert asked == ["redis"]


def test_the_large_bodies_of_one_client_are_spread_and_other_requests_are_not(
    env: dict[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.http import edge

    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    large = b'{"events": [' + VIEW + b"]" + b" " * 900_000 + b"}"
    json = {"Content-Type": "application/json"}
    with configured(env, "events"):
        shop = serve("events")
        monkeypatch.setattr(import_module("functions.events.main").app.state.edge.pace, "clock", lambda: 0.0)
        monkeypatch.setattr(edge.asyncio, "sleep", wait)
        answers = [shop.post("/events/batch", content=large, headers=json).status_code for _ in range(7)]
        small = shop.post("/events", content=VIEW, headers=json).status_code
        refused = shop.post("/events/batch", content=large, headers=json)
    # at 0.9 MB each and 1 MiB/s the seventh would wait more than 5 s, since no time passes between them
    assert answers == [202] * 6 + [429]
    assert small == 202
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    # the first is free, and each further one waits for those before it
    assert len(waits) >= 5
    assert 0 < waits[0] < 1
    assert 4 < max(waits) <= 5


def test_a_client_s_pace_is_its_own_and_comes_back() -> None:
    from shared.errors import RateLimited
    from shared.http.limits import PACE_BURST_BYTES, PACE_BYTES_S, Pace

    now = 100.0
    pace = Pace(lambda: now)
    assert pace.wait_s("a", PACE_BURST_BYTES) == 0
    assert pace.wait_s("a", PACE_BYTES_S) == 1
    assert pace.wait_s("b", PACE_BURST_BYTES) == 0
    with pytest.raises(RateLimited):
        pace.wait_s("a", 5 * PACE_BYTES_S)
    # what was refused was not counted
    assert pace.wait_s("a", PACE_BYTES_S) == 2
    now += 10
    assert pace.wait_s("a", PACE_BURST_BYTES) == 0


def test_every_function_is_covered() -> None:
    assert set(FUNCTIONS) == set(DOCUMENTS)
    assert union(DOCUMENTS)["paths"]
