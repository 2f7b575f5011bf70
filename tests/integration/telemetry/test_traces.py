"""A request and what it causes are one trace, across processes and Pub/Sub."""

import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local.telemetry import store
from local.telemetry.collector import Collector
from local.telemetry.store import StoredSpan
from shared.storage.events import ingestion
from shared.telemetry import exporting, metrics, spans
from tests.integration.conftest import Messages, Serve, settings_of
from tests.integration.deliveries import push
from tests.integration.shop import add_products
from tests.integration.telemetry.conftest import TOKEN, Find

VIEW = {"user_id": "ann", "product_id": 1, "event_type": "view"}
TRACE = "ab" * 16
PARENT = "cd" * 8


def fail(*_: Any, **__: Any) -> None:
    """Stand in for the function that stores events, while the database cannot."""
    raise RuntimeError("the disk is gone")


def parent_names(found: list[StoredSpan]) -> dict[str, str]:
    """Return the name of each span's parent by its own name, without the spans of databases."""
    names = {span.span_id: span.name for span in found}
    return {
        span.name: names.get(span.parent_id, span.parent_id)
        for span in found
        if span.name not in ("postgresql", "redis")
    }


def test_an_event_is_followed_from_its_request_to_the_rows_it_changed(
    traced: Find, serve: Serve, messages: Messages
) -> None:
    events, update = serve("events"), serve("update_preferences")
    take = messages("user-events")
    headers = {"X-Request-ID": "mine", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert events.post("/events", json=VIEW, headers=headers).status_code == 202
    assert events.post("/events", json=VIEW | {"user_id": "bob"}, headers={"X-Request-ID": "other"}).status_code == 202
    mine, other = sorted(take(2), key=lambda message: message.attributes["user_id"])
    for message in (mine, other):
        assert push(update, message.data, dict(message.attributes)).status_code == 200
    # the last span to end
    found = traced("mine", 1, "update_preferences")
    assert {span.trace_id for span in found} == {TRACE}
    assert parent_names(found) == {
        "POST /events": PARENT,
        "publish user-events": "POST /events",
        "update_preferences": "publish user-events",
    }
    by_name = {span.name: span for span in found}
    assert by_name["postgresql"].parent_id == by_name["update_preferences"].span_id
    assert by_name["POST /events"].attributes["http.response.status_code"] == 202
    # the bystander has a trace of its own
    others = traced("other", 1, "update_preferences")
    assert {span.trace_id for span in others}.isdisjoint({TRACE})
    assert len(parent_names(others)) == 3


def test_a_stored_answer_is_told_from_a_computed_one(traced: Find, serve: Serve) -> None:
    shop = serve("recommendations")
    for request_id in ("computed", "stored"):
        answer = shop.get("/recommendations", params={"user_id": "ann"}, headers={"X-Request-ID": request_id})
        assert answer.status_code == 200
    seen = [
        (span.name, span.attributes["aisle.cache"], span.attributes["http.route"])
        for request_id in ("computed", "stored")
        for span in traced(request_id, 1)
        if span.name.startswith("GET")
    ]
    assert seen == [
        ("GET /recommendations", "miss", "/recommendations"),
        ("GET /recommendations", "hit", "/recommendations"),
    ]


def test_a_route_has_one_name_for_all_its_products(traced: Find, serve: Serve) -> None:
    products = serve("products")
    for product_id in (1, 2, 999):
        products.get(f"/products/{product_id}", headers={"X-Request-ID": f"p{product_id}"})
    products.get("/products/1/nowhere", headers={"X-Request-ID": "nowhere"})
    names = [traced(request_id, 1)[0].name for request_id in ("p1", "p2", "p999", "nowhere")]
    assert names == ["GET /products/{product_id}"] * 3 + ["GET unknown"]


def test_spans_and_metrics_have_nothing_that_a_shopper_typed(
    traced: Find, serve: Serve, collector: tuple[Collector, str]
) -> None:
    products, accounts, admin = serve("products"), serve("accounts"), serve("admin")
    requests = [
        (products, "/products?search=xyzzy-text"),
        (products, "/products/xyzzy-path"),
        (products, "/xyzzy-path"),
        (admin, "/admin/users/xyzzy-user/export"),
        (accounts, "/auth/verify-email?token=xyzzy-token"),
    ]
    for number, (shop, target) in enumerate(requests):
        shop.get(target, headers={"X-Request-ID": f"request-{number}"})
    products.get("/products", headers={"X-Request-ID": f"request-{len(requests)}", "X-API-Key": "xyzzy-key"})
    found = [span for number in range(len(requests) + 1) for span in traced(f"request-{number}", 1)]
    roots = {span.attributes["aisle.request_id"]: span for span in found if "aisle.request_id" in span.attributes}
    assert sorted(roots) == [f"request-{number}" for number in range(len(requests) + 1)]
    assert [span for span in found if "xyzzy" in repr(span)] == []
    exporting._meters().force_flush()
    kept = httpx.get(f"{collector[1]}/metrics").text
    assert 'http_request_method="GET"' in kept
    assert "xyzzy" not in kept


def test_a_failed_delivery_is_marked_and_what_caused_it_is_named(
    traced: Find,
    serve: Serve,
    messages: Messages,
    collector: tuple[Collector, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events, update = serve("events"), serve("update_preferences")
    take = messages("user-events")
    events.post("/events", json=VIEW, headers={"X-Request-ID": "mine"})
    (message,) = take(1)
    with monkeypatch.context() as patched:
        patched.setattr(ingestion, "store", fail)
        assert push(update, message.data, dict(message.attributes)).status_code == 500
    assert push(update, message.data, dict(message.attributes)).status_code == 200
    attempts = [span for span in traced("mine", 2, "update_preferences") if span.name == "update_preferences"]
    assert [span.failure for span in attempts] == ["RuntimeError", ""]
    exporting._meters().force_flush()
    lines = httpx.get(f"{collector[1]}/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("aisle_apply_duration_seconds_count")]
    assert [
        (f'aisle_outcome="{outcome}"' in line, line[-2:])
        for line, outcome in zip(counted, ("applied", "failed"), strict=True)
    ] == [
        (True, " 1"),
        (True, " 1"),
    ]


def test_a_deployed_function_exports_before_it_answers(
    traced: Find, serve: Serve, collector: tuple[Collector, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    shop = serve("recommendations")
    path = collector[0].path
    get = {"params": {"user_id": "ann"}}
    shop.get("/recommendations", **get, headers={"X-Request-ID": "local"})
    assert store.find(path, "local") == []
    monkeypatch.setattr(spans, "IS_DEPLOYED", True)
    for request_id in ("hit", "miss"):
        user = {"params": {"user_id": "ann" if request_id == "hit" else "bob"}}
        shop.get("/recommendations", **user, headers={"X-Request-ID": request_id})
        assert [span.attributes["aisle.cache"] for span in store.find(path, request_id) if not span.parent_id] == [
            request_id
        ]
    # a trace that is not kept has nothing to wait for
    not_kept = {"traceparent": f"00-{TRACE}-{PARENT}-00", "X-Request-ID": "not-kept"}
    assert shop.get("/recommendations", **get, headers=not_kept).status_code == 200
    exporting.flush()
    assert store.find(path, "not-kept") == []


def test_a_deployed_subscriber_exports_before_it_ends_even_if_it_fails(
    traced: Find,
    serve: Serve,
    messages: Messages,
    collector: tuple[Collector, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    monkeypatch.setattr(spans, "IS_DEPLOYED", True)
    events, update = serve("events"), serve("update_preferences")
    take = messages("user-events")
    events.post("/events", json=VIEW, headers={"X-Request-ID": "mine"})
    (message,) = take(1)
    for expected in (500, 200):
        with monkeypatch.context() as patched:
            if expected == 500:
                patched.setattr(ingestion, "store", fail)
            assert push(update, message.data, dict(message.attributes)).status_code == expected
        attempts = [span for span in store.find(collector[0].path, "mine") if span.name == "update_preferences"]
        assert [span.failure for span in attempts] == (["RuntimeError"] if expected == 500 else ["RuntimeError", ""])
    # the bystander, whose message never failed
    events.post("/events", json=VIEW, headers={"X-Request-ID": "other"})
    (message,) = take(1)
    assert push(update, message.data, dict(message.attributes)).status_code == 200
    deliveries = [span for span in store.find(collector[0].path, "other") if span.name == "update_preferences"]
    assert [span.failure for span in deliveries] == [""]


def test_a_collector_that_never_answers_delays_answers_by_the_limit(
    env: dict[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_products()
    monkeypatch.setattr(spans, "IS_DEPLOYED", True)
    monkeypatch.setattr(exporting, "FLUSH_S", 0.2)
    monkeypatch.setattr(exporting, "EXPORT_TIMEOUT_S", 5.0)
    # connections are accepted by the kernel, and nothing reads them
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        settings_of(env | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}),
    ):
        shop = serve("recommendations")
        waits = []
        for number in range(3):
            began = time.monotonic()
            answer = shop.get("/recommendations", params={"user_id": f"user-{number}"})
            waits.append(time.monotonic() - began)
            assert answer.status_code == 200
        # an export gives up after EXPORT_TIMEOUT_S, and without the limit each of the three would wait for one
        assert waits[0] >= exporting.FLUSH_S
        assert sum(waits) < 2 * exporting.EXPORT_TIMEOUT_S
        monkeypatch.setattr(spans, "IS_DEPLOYED", False)
        exporting.close()


def test_metrics_name_route_and_outcome(
    traced: Find, serve: Serve, messages: Messages, collector: tuple[Collector, str]
) -> None:
    products, events, update = serve("products"), serve("events"), serve("update_preferences")
    take = messages("user-events")
    for search in ("Product", "zzzz"):
        assert products.get("/products", params={"search": search}).status_code == 200
    events.post("/events", json=VIEW)
    (message,) = take(1)
    minute_ago = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    assert push(update, message.data, dict(message.attributes), publishTime=minute_ago).status_code == 200
    exporting._meters().force_flush()
    lines = httpx.get(f"{collector[1]}/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("aisle_searches_total")]
    assert [line.partition("{")[2] for line in counted] == [
        'aisle_results="none",service="aisle"} 1',
        'aisle_results="some",service="aisle"} 1',
    ]
    # the message waited for a minute, and a little longer on a busy machine
    assert any(line.startswith("aisle_message_age_seconds_bucket") and line.endswith('le="30"} 0') for line in lines)
    assert any(line.startswith("aisle_message_age_seconds_bucket") and line.endswith('le="300"} 1') for line in lines)
    names = {line.split()[2] for line in lines if line.startswith("# HELP")}
    expected = {metrics.REQUEST_DURATION, metrics.PUBLISH_DURATION, metrics.MESSAGE_AGE, metrics.APPLY_DURATION}
    assert {metric.name.replace(".", "_") + "_seconds" for metric in expected} <= names
    assert any('faas_name="update_preferences"' in line and 'aisle_outcome="applied"' in line for line in lines)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer another"}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "https://elsewhere.example"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "elsewhere.example"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}, 400),
        ({"Authorization": f"Bearer {TOKEN}"}, 400),
    ],
)
@pytest.mark.parametrize("route", ["/v1/traces", "/v1/metrics"])
def test_the_collector_takes_only_the_system_s_own_spans(
    collector: tuple[Collector, str], route: str, headers: dict[str, str], status: int
) -> None:
    assert httpx.post(f"{collector[1]}{route}", content=b"\xff\xff", headers=headers).status_code == status
    assert not collector[0].path.exists()


@pytest.mark.parametrize(
    ("function", "path", "name"),
    [
        ("admin", "/admin/users/ann@example.com/export", "GET /admin/users/{user_id}/export"),
        ("admin", "/admin/users/export?user_id=ann@example.com", "GET /admin/users/export"),
        ("products", "/ann@example.com", "GET unknown"),
    ],
)
def test_a_span_names_the_route_and_not_the_person_in_the_path(
    traced: Find, serve: Serve, function: str, path: str, name: str
) -> None:
    serve(function).get(path, headers={"X-Request-ID": "mine"})
    (span,) = (span for span in traced("mine", 1) if span.name.startswith("GET"))
    assert span.name == name
    assert "ann" not in str(span)
