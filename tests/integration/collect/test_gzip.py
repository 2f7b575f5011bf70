"""Bodies that a library has compressed by gzip, with the limits of other bodies."""

import gzip
import zlib
from importlib import import_module
from typing import Any

import httpx
import orjson
import pytest

from functions.collect.main import MAX_BODY_BYTES
from shared.http import limits
from tests.integration.collect.conftest import Store, stored

PATHS = ("/v1/batch", "/v1/track", "/track", "/mp/collect")


def post(client: httpx.Client, path: str, body: bytes, encoding: str = "gzip", **headers: str) -> httpx.Response:
    sent = {"Content-Type": "application/json", "Content-Encoding": encoding} | headers
    return client.post(path, content=body, headers=sent)


def call(publishable: str, **more: Any) -> dict[str, Any]:
    viewed = {"type": "track", "userId": "ann", "event": "Product Viewed", "properties": {"product_id": "SKU1"}}
    return {"writeKey": publishable, "batch": [viewed]} | more


def test_a_compressed_batch_is_recorded(shop: httpx.Client, publishable: str, store: Store) -> None:
    answer = post(shop, "/v1/batch", gzip.compress(orjson.dumps(call(publishable))))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1), answer.text
    event = {"user_id": "bob", "event_type": "view", "product_id": "SKU2"}
    assert post(shop, "/track", gzip.compress(orjson.dumps(event)), "GZip").status_code == 200
    # as a beacon writes it, in two parts
    text = orjson.dumps(event | {"user_id": "cleo"})
    packed = gzip.compress(text[:9]) + gzip.compress(text[9:])
    assert post(shop, "/track", packed, "x-gzip", **{"Content-Type": "text/plain"}).status_code == 200
    store(3)
    assert [row[0] for row in stored()] == ["ann", "bob", "cleo"]


def test_the_limit_is_that_of_the_unpacked_body(shop: httpx.Client, publishable: str, store: Store) -> None:
    body = orjson.dumps(call(publishable, context=""))
    filled = orjson.dumps(call(publishable, context="x" * (MAX_BODY_BYTES - len(body))))
    assert len(filled) == MAX_BODY_BYTES
    assert post(shop, "/v1/batch", gzip.compress(filled)).status_code == 200
    answer = post(shop, "/v1/batch", gzip.compress(filled + b" "))
    assert answer.status_code == 413
    assert str(MAX_BODY_BYTES) in answer.json()["detail"]
    store(1)
    assert stored("ann") == [("view", "SKU1", 1)]


def test_the_pace_of_large_bodies_is_that_of_the_unpacked_bodies(
    shop: httpx.Client, publishable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PACE_BURST_BYTES", 150_000), ("PACE_BYTES_S", 1_000), ("PACE_WAIT_S", 1.0)):
        monkeypatch.setattr(limits, name, value)
    # what other tests sent is forgotten: all have the same address
    clients = import_module("functions.collect.main").app.state.edge.pace.clients
    clients.clear()
    packed = gzip.compress(orjson.dumps(call(publishable, context="x" * 100_000)))
    assert len(packed) < 1_000
    assert [post(shop, "/v1/batch", packed).status_code for _ in range(2)] == [200, 429]
    # a small body need not wait
    assert post(shop, "/v1/batch", gzip.compress(orjson.dumps(call(publishable)))).status_code == 200
    clients.clear()


@pytest.mark.parametrize("path", PATHS)
def test_a_bomb_is_refused_before_it_is_unpacked(shop: httpx.Client, publishable: str, path: str) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(b" " * 2**20) for _ in range(200)), packer.flush()])
    assert len(bomb) < MAX_BODY_BYTES
    answer = post(shop, path, bomb, **{"X-API-Key": publishable})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:aisle:problem:body-too-large")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"user_id": "ann"}', "not gzip"),
        (gzip.compress(b'{"user_id": "ann"}', mtime=0)[:-4], "truncated"),
        (gzip.compress(b'{"user_id": "ann"}', mtime=0) + b"more", "not gzip"),
        (gzip.compress(b"", mtime=0) * 17, "at most 16 parts"),
    ],
    ids=("plain", "half", "more", "parts"),
)
def test_what_is_not_gzip_is_refused(shop: httpx.Client, body: bytes, detail: str) -> None:
    answer = post(shop, "/track", body)
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "encoding"), [("/track", "br"), ("/events", "gzip"), ("/cart/items?user_id=ann", "gzip")]
)
def test_other_encodings_and_other_functions_take_none(shop: httpx.Client, path: str, encoding: str) -> None:
    event = {"user_id": "ann", "event_type": "view", "product_id": 2}
    answer = post(shop, path, gzip.compress(orjson.dumps(event)), encoding)
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["detail"]
