"""Staff upload the image of a product: locally to a folder, in the cloud to a bucket. Nobody else, and nothing else."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from shared import image_uploads
from shared.clients import postgres
from tests.integration.conftest import Serve, settings_of
from tests.integration.people import ADMIN, PUBLIC_URL, as_admin
from tests.integration.products.storage_server import BUCKET, Storage, storage
from tests.integration.shop import add_products

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
OTHER = b"\x89PNG\r\n\x1a\n" + bytes(reversed(range(256)))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
LIMIT = 5 << 20


@pytest.fixture
def folder(env: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """Products 1 to 3, and a folder for images."""
    place = tmp_path / "it's images"
    with settings_of(env | {"IMAGE_STORE": f"file://{str(place).replace(' ', '%20')}"}):
        add_products(3)
        yield place


@pytest.fixture
def admin(folder: Path, serve: Serve) -> httpx.Client:
    return as_admin(serve("products"))


@pytest.fixture
def pages(folder: Path, serve: Serve) -> httpx.Client:
    return serve("web")


def create(admin: httpx.Client, product_id: int = 1, content_type: str = "image/png", size: int = len(PNG)) -> Any:
    answer = admin.post(f"/products/{product_id}/image-upload", json={"content_type": content_type, "size": size})
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(client: httpx.Client, upload: Any, body: bytes = PNG, **headers: str) -> httpx.Response:
    return client.put(upload["url"], content=body, headers=upload["headers"] | headers)


def finish(admin: httpx.Client, upload: Any, product_id: int = 1) -> httpx.Response:
    return admin.put(f"/products/{product_id}/image", json={"upload": upload["upload"]})


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def stored_urls() -> list[str | None]:
    return [row[0] for row in postgres.read("SELECT image_url FROM products ORDER BY id")]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_uploaded_image_becomes_the_product_s_and_is_served(
    admin: httpx.Client, pages: httpx.Client, folder: Path
) -> None:
    before = stored_urls()
    upload = create(admin)
    # the address is the credential: a browser sends no token to it
    anonymous = httpx.Client(base_url=admin.base_url)
    sent = send(anonymous, upload)
    assert (sent.status_code, sent.content) == (204, b"")
    # nothing changes before it is finished
    assert stored_urls() == before
    done = finish(admin, upload)
    assert done.status_code == 200, done.text
    address = done.json()["image_url"]
    assert address.startswith(f"{PUBLIC_URL}/images/1/")
    assert stored_urls() == [address, *before[1:]]
    shown = pages.get(address.removeprefix(PUBLIC_URL))
    assert (shown.status_code, shown.content) == (200, PNG)
    assert shown.headers["Content-Type"] == "image/png"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert shown.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert shown.headers["Content-Length"] == str(len(PNG))
    again = pages.get(address.removeprefix(PUBLIC_URL), headers={"If-None-Match": shown.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    # another image has another address, and the first one stays for those who have a page with it
    second = create(admin, size=len(OTHER))
    send(anonymous, second, OTHER)
    assert finish(admin, second).json()["image_url"] != address
    assert pages.get(address.removeprefix(PUBLIC_URL)).content == PNG
    audited = postgres.read("SELECT action, subject, after->>'image_url' FROM audit_log ORDER BY id LIMIT 1")
    assert tuple(audited[0]) == ("product.update", "product:1", address)
    anonymous.close()


def test_the_new_image_is_shown_and_published_at_once(admin: httpx.Client, messages: Any) -> None:
    take = messages("catalog-changes")
    other = admin.get("/products/2").json()
    before = admin.get("/products/1").json()
    upload = create(admin)
    send(admin, upload)
    done = finish(admin, upload).json()
    # the answer that was stored before is dropped
    assert admin.get("/products/1").json() == done
    assert done["image_url"] != before["image_url"]
    assert admin.get("/products/2").json() == other
    [message] = take()
    assert orjson.loads(message.data)["product_ids"] == [1]
    assert postgres.read("SELECT count(*) FROM outbox WHERE published_at IS NULL")[0][0] == 0


@pytest.mark.parametrize(("content_type", "body"), [("image/jpeg", JPEG), ("image/webp", b"RIFF\x04\0\0\0WEBPVP8 ")])
def test_other_types_are_served_as_such(
    admin: httpx.Client, pages: httpx.Client, content_type: str, body: bytes
) -> None:
    upload = create(admin, content_type=content_type, size=len(body))
    assert send(admin, upload, body).status_code == 204
    address = finish(admin, upload).json()["image_url"]
    assert pages.get(address.removeprefix(PUBLIC_URL)).headers["Content-Type"] == content_type


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content_type": "image/svg+xml", "size": 10}, "content_type"),
        ({"content_type": "text/html", "size": 10}, "content_type"),
        ({"content_type": "image/png", "size": 0}, "size"),
        ({"content_type": "image/png", "size": LIMIT + 1}, "size"),
        ({"content_type": "image/png", "size": "10"}, "size"),
        ({"content_type": "image/png"}, "size"),
        ({"content_type": "image/png", "size": 10, "name": "../x"}, "name"),
    ],
)
def test_an_upload_of_another_type_or_size_is_refused(admin: httpx.Client, body: Any, field: str) -> None:
    answer = admin.post("/products/1/image-upload", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_the_largest_image_is_taken_and_a_byte_more_is_not(admin: httpx.Client, folder: Path) -> None:
    largest = PNG.ljust(LIMIT, b"\0")
    upload = create(admin, size=LIMIT)
    assert slug(send(admin, upload, largest + b"\0")) == (413, "body-too-large")
    assert files(folder) == []
    assert send(admin, upload, largest).status_code == 204
    assert finish(admin, upload).status_code == 200


def test_the_file_must_have_the_size_and_type_of_its_upload(admin: httpx.Client, folder: Path) -> None:
    upload = create(admin)
    assert slug(send(admin, upload, PNG + b"\0")) == (422, "invalid-request")
    assert slug(send(admin, upload, PNG[:-1])) == (422, "invalid-request")
    assert slug(send(admin, upload, PNG, **{"content-type": "image/jpeg"})) == (415, "unsupported-media-type")
    assert slug(send(admin, upload, PNG, **{"content-type": "image/svg+xml"})) == (415, "unsupported-media-type")
    disguised = SVG.ljust(len(PNG), b" ")
    assert slug(send(admin, upload, disguised)) == (415, "unsupported-media-type")
    assert files(folder) == []
    assert slug(finish(admin, upload)) == (409, "conflict")
    # the refused attempts have not used it up
    assert send(admin, upload).status_code == 204


def test_an_upload_is_for_its_product_alone(admin: httpx.Client) -> None:
    before = stored_urls()
    upload = create(admin, 1)
    assert send(admin, upload).status_code == 204
    assert slug(finish(admin, upload, 2)) == (422, "invalid-link")
    assert stored_urls() == before


def test_an_upload_takes_one_file(admin: httpx.Client) -> None:
    upload = create(admin)
    assert send(admin, upload).status_code == 204
    assert slug(send(admin, upload, OTHER)) == (409, "conflict")
    first = finish(admin, upload).json()["image_url"]
    # also after it was finished; finishing again changes nothing
    assert slug(send(admin, upload, OTHER)) == (409, "conflict")
    assert finish(admin, upload).json()["image_url"] == first


def test_an_upload_ends(admin: httpx.Client, folder: Path) -> None:
    ten_minutes_ago = datetime.now(UTC).timestamp() - image_uploads.LIFETIME_S
    token, _upload = image_uploads.create(1, "image/png", len(PNG), ten_minutes_ago)
    upload = create(admin) | {"upload": token, "url": f"/products/image-uploads?token={token}"}
    assert slug(send(admin, upload)) == (410, "link-expired")
    assert slug(finish(admin, upload)) == (410, "link-expired")
    assert files(folder) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token.replace("1.image", "2.image"),
        lambda token: token.replace("image/png", "image/webp"),
        lambda token: "1.image/png.1./../../etc/passwd.9999999999." + token.rpartition(".")[2],
        lambda token: token[:-1],
        lambda _token: "x",
    ],
)
def test_an_altered_upload_is_none(admin: httpx.Client, folder: Path, change: Any) -> None:
    upload = create(admin)
    token = change(upload["upload"])
    assert slug(send(admin, upload | {"url": f"/products/image-uploads?token={token}"})) == (422, "invalid-link")
    assert slug(finish(admin, upload | {"upload": token})) == (422, "invalid-link")
    assert files(folder) == []


@pytest.mark.parametrize(
    "path",
    [
        "/images/1/..%2f..%2fstate.json",
        "/images/1/%2e%2e%2f%2e%2e%2fstate.json",
        "/images/1/" + "a" * 32 + ".svg",
        "/images/1/" + "a" * 32 + ".png",
        "/images/..%2f1/" + "a" * 32 + ".png",
        "/images/0/" + "a" * 32 + ".png",
    ],
)
def test_no_other_file_is_served(pages: httpx.Client, folder: Path, path: str) -> None:
    folder.mkdir()
    (folder.parent / "state.json").write_text("secret")
    answer = pages.get(path)
    assert answer.status_code in (404, 422), answer.text
    assert "secret" not in answer.text


def test_an_image_of_one_product_is_not_another_one_s(admin: httpx.Client, pages: httpx.Client) -> None:
    upload = create(admin)
    send(admin, upload)
    path = finish(admin, upload).json()["image_url"].removeprefix(PUBLIC_URL)
    assert pages.get(path.replace("/images/1/", "/images/2/")).status_code == 404


def test_staff_alone_may_upload_and_an_unknown_product_has_no_image(admin: httpx.Client, serve: Serve) -> None:
    stranger = serve("products")
    body = {"content_type": "image/png", "size": len(PNG)}
    assert stranger.post("/products/1/image-upload", json=body).status_code == 401
    upload = create(admin)
    send(admin, upload)
    assert stranger.put("/products/1/image", json={"upload": upload["upload"]}).status_code == 401
    unknown = stranger.post("/products/99/image-upload", json=body, headers=ADMIN)
    assert slug(unknown) == (404, "product-not-found")


def test_old_uploads_are_deleted_and_images_stay(admin: httpx.Client, folder: Path) -> None:
    upload = create(admin)
    send(admin, upload)
    finish(admin, upload)
    kept, uploaded = files(folder)
    long_ago = datetime.now(UTC).timestamp() - 90_000
    for name in (kept, uploaded):
        os.utime(folder / name, (long_ago, long_ago))
    send(admin, create(admin))
    assert kept in files(folder)
    assert uploaded not in files(folder)


def test_without_a_store_the_setting_is_named_and_no_image_is_found(env: dict[str, str], serve: Serve) -> None:
    add_products(1)
    answer = as_admin(serve("products")).post("/products/1/image-upload", json={"content_type": "image/png", "size": 1})
    assert answer.status_code == 500
    assert "IMAGE_STORE" in answer.json()["detail"]
    assert serve("web").get("/images/1/" + "a" * 32 + ".png").status_code == 404


# in the cloud


@pytest.fixture
def bucket(env: dict[str, str]) -> Iterator[Storage]:
    with storage() as server:
        cloud = {"IMAGE_STORE": f"gs://{BUCKET}", "GOOGLE_REST_EMULATOR_HOST": server.host}
        with settings_of(env | cloud):
            add_products(2)
            yield server


def put(bucket: Storage, upload: Any, body: bytes = PNG, **changed: str) -> httpx.Response:
    """Send a file to a signed address, at the stand-in."""
    url = upload["url"].replace("https://storage.googleapis.com", f"http://{bucket.host}")
    return httpx.put(url, content=body, headers=upload["headers"] | changed)


def test_in_the_cloud_the_file_goes_to_the_bucket_by_a_signed_address(bucket: Storage, serve: Serve) -> None:
    admin, pages = as_admin(serve("products")), serve("web")
    upload = create(admin)
    assert upload["url"].startswith(f"https://storage.googleapis.com/{BUCKET}/uploads/")
    assert put(bucket, upload).status_code == 200
    done = finish(admin, upload)
    assert done.status_code == 200, done.text
    path = done.json()["image_url"].removeprefix(PUBLIC_URL)
    shown = pages.get(path)
    assert (shown.status_code, shown.content, shown.headers["Content-Type"]) == (200, PNG, "image/png")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert pages.get("/images/1/" + "a" * 32 + ".png").status_code == 404
    # the pages may send files there, and nowhere else
    policy = pages.get("/console").headers["Content-Security-Policy"]
    assert f"connect-src 'self' https://storage.googleapis.com/{BUCKET}/uploads/;" in policy
    # this function takes no file itself
    local = {"url": f"/products/image-uploads?token={upload['upload']}", "headers": upload["headers"]}
    assert send(admin, local).status_code == 404


def test_a_signed_address_holds_for_its_type_size_name_and_time_once(bucket: Storage, serve: Serve) -> None:
    admin = as_admin(serve("products"))
    upload = create(admin)
    assert put(bucket, upload, PNG, **{"content-type": "image/svg+xml"}).status_code == 403
    assert put(bucket, upload, PNG + b"\0").status_code == 400
    assert put(bucket, upload, PNG, **{"x-goog-content-length-range": "0,99999999"}).status_code == 403
    assert put(bucket, upload, PNG, **{"x-goog-if-generation-match": "1"}).status_code == 403
    elsewhere = upload | {"url": upload["url"].replace("/uploads/", "/products/")}
    assert put(bucket, elsewhere).status_code == 403
    longer = upload | {"url": upload["url"].replace("X-Goog-Expires=600", "X-Goog-Expires=604800")}
    assert put(bucket, longer).status_code == 403
    bucket.now = lambda: datetime.now(UTC) + timedelta(minutes=11)
    assert put(bucket, upload).status_code == 400
    bucket.now = lambda: datetime.now(UTC)
    assert bucket.objects == {}
    assert put(bucket, upload).status_code == 200
    assert put(bucket, upload, OTHER).status_code == 412


def test_a_file_of_another_type_in_the_bucket_becomes_no_image(bucket: Storage, serve: Serve) -> None:
    admin = as_admin(serve("products"))
    before = stored_urls()
    disguised = SVG.ljust(len(PNG), b" ")
    upload = create(admin)
    # Cloud Storage looks at the header alone
    assert put(bucket, upload, disguised).status_code == 200
    assert slug(finish(admin, upload)) == (415, "unsupported-media-type")
    assert stored_urls() == before
    assert [name for name in bucket.objects if name.startswith("products/")] == []


def test_a_file_in_the_bucket_that_is_larger_than_the_limit_becomes_no_image(bucket: Storage, serve: Serve) -> None:
    admin = as_admin(serve("products"))
    before = stored_urls()
    largest = PNG.ljust(LIMIT, b"\0")
    upload = create(admin, size=LIMIT)
    assert put(bucket, upload, largest).status_code == 200
    (name,) = bucket.objects
    bucket.objects[name] = ("image/png", largest + b"\0")
    assert slug(finish(admin, upload)) == (422, "invalid-request")
    assert stored_urls() == before
    bucket.objects[name] = ("image/png", largest)
    assert finish(admin, upload).status_code == 200
    assert stored_urls()[1:] == before[1:]


def test_a_bucket_that_does_not_answer_is_a_problem_of_the_moment(bucket: Storage, serve: Serve) -> None:
    admin = as_admin(serve("products"))
    upload = create(admin)
    bucket.shutdown()
    bucket.server_close()
    assert slug(finish(admin, upload)) == (503, "unavailable")
    assert slug(admin.post("/products/1/image-upload", json={"content_type": "image/png", "size": 1})) == (
        503,
        "unavailable",
    )
