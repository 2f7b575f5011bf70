"""The console's views that are compared, uploaded and watched, and the walks of support and of the keeper of data.

What people type is a script in every one of them.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.places import ROOT
from tests.browser.conftest import PATIENCE_MS, Visitor
from tests.browser.console_pages import Login, create_admin, create_support, open_console, show

playwright_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
)
expect = playwright_api.expect
expect.set_options(timeout=PATIENCE_MS)

Visit = Callable[..., Visitor]
CUSTOMER = "17850"
SCRIPT = "</script><script>alert(1)</script>"
LOOKS = [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]
AXE = ROOT / "tests/browser/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def owner(home: Path) -> Login:
    """An admin."""
    return create_admin(home)


@pytest.fixture(scope="session")
def support(home: Path) -> Login:
    """A member of staff who may read."""
    return create_support(home)


@pytest.fixture
def hostile(api: httpx.Client, admin: dict[str, str]) -> Iterator[dict[str, str]]:
    """A product, a user, a rule and a person that are called like a script."""
    name = f"{SCRIPT} {uuid4().hex[:6]}"
    product = {"name": name, "brand": SCRIPT, "price": 3, "quantity": 9, "external_id": f"script-{uuid4().hex[:8]}"}
    created = api.post("/products", json=product, headers=admin).raise_for_status().json()
    user = f"{SCRIPT}{uuid4().hex[:6]}"
    api.post("/events", json={"user_id": user, "product_id": created["id"], "event_type": "view"}).raise_for_status()
    rule = {"kind": "pin", "product_id": created["id"], "position": 1, "note": SCRIPT, "active": False}
    stored = api.post("/admin/rules", json=rule, headers=admin).raise_for_status().json()
    yield {"product": str(created["id"]), "external_id": product["external_id"], "name": name, "user": user}
    api.delete(f"/admin/rules/{stored['id']}", headers=admin).raise_for_status()
    api.delete(f"/products/{created['id']}", headers=admin).raise_for_status()


def table(page: Any, label: str) -> Any:
    """Return the table of this name."""
    return page.get_by_role("table", name=label, exact=True)


def watch_dialogs(page: Any) -> list[str]:
    """Return the list to which the texts of alerts are added."""
    shown: list[str] = []

    def note(dialog: Any) -> None:
        shown.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    return shown


def png(size: int = 8) -> bytes:
    """Return a valid image of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x1f\x6f\x5b" * size for _ in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def open_editor(page: Any, external_id: str, user: str) -> Any:
    """Fill in a rule that pins a product to the first place, and compare its effect for a user; return the editor."""
    show(page, "/recommendations/rules")
    page.get_by_role("button", name="New rule").click()
    editor = page.get_by_role("dialog", name="New rule")
    editor.get_by_text("Pin", exact=True).click()
    editor.get_by_label("Product", exact=True).fill(external_id)
    editor.get_by_label("Note").fill(SCRIPT)
    editor.get_by_label("User id", exact=True).fill(user)
    editor.get_by_role("button", name="Compare").click()
    return editor


@pytest.mark.parametrize(("device", "scheme"), LOOKS)
def test_new_views_fit_have_no_barrier_and_run_no_script(
    visit: Visit, owner: Login, hostile: dict[str, str], device: str, scheme: str
) -> None:
    visitor = visit(device, scheme)
    page = open_console(visitor, owner)
    alerts = watch_dialogs(page)

    def check(name: str) -> None:
        visitor.keep_picture(f"console-{device}-{scheme}-{name}")
        width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], name
        if AXE.is_file():
            page.evaluate(AXE.read_text())
            answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            found = [
                (each["id"], [node["target"] for node in each["nodes"][:3]])
                for each in answer["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            assert found == [], name

    show(page, "/operations/live")
    expect(page.get_by_role("heading", name="Messages with events")).to_be_visible()
    expect(page.locator(".chart-plot canvas").first).to_be_visible()
    check("live")

    editor = open_editor(page, hostile["external_id"], hostile["user"])
    expect(editor.get_by_role("heading", name="With the rule")).to_be_visible()
    expect(editor.get_by_text(hostile["name"]).first).to_be_visible()
    editor.get_by_role("heading", name="With the rule").scroll_into_view_if_needed()
    check("draft")
    page.keyboard.press("Escape")

    show(page, f"/catalog/products/{hostile['product']}")
    expect(page.get_by_label("Upload an image")).to_be_visible()
    check("image")
    show(page, "/recommendations/rules")
    assert page.locator("main script").count() == 0
    assert alerts == []


def test_what_happens_is_seen_live(visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str]) -> None:
    visitor = visit()
    page = open_console(visitor, owner, "/operations/live")
    user = f"live-{uuid4().hex[:8]}"
    for _ in range(7):
        api.post("/events", json={"user_id": user, "product_id": 1, "event_type": "view"}).raise_for_status()
    # the view asks again by itself, until the server's figures have them
    page.wait_for_function(
        """() => [...document.querySelectorAll("section[aria-label='Messages with events'] .visually-hidden tbody tr")]
            .map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent.replace(/\\D/g, ""))))
            .some(([accepted, applied]) => accepted >= 7 && applied >= 7)""",
        timeout=90_000,
    )
    expect(page.get_by_text("Unit: messages per minute. Times in")).to_be_visible()
    queues = table(page, "Waiting messages")
    expect(queues.get_by_role("row").filter(has_text="update_preferences")).to_contain_text("No messages waiting")
    routes = table(page, "Requests by route")
    sent = routes.get_by_role("row").filter(has_text="POST /events")
    expect(sent).to_contain_text("ms")
    expect(sent).to_contain_text("0%")
    found = api.get("/admin/operations", headers=admin).json()
    slowest = max(found["routes"], key=lambda route: route["p95_ms"] or 0)["route"]
    page.get_by_text("Slowest", exact=True).click()
    expect(routes.get_by_role("row").nth(1)).to_contain_text(slowest.split(" ")[0])


def test_a_figure_without_a_source_says_why_and_the_rest_stays(
    visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str]
) -> None:
    visitor = visit()
    page = open_console(visitor, owner)
    figures = api.get("/admin/operations", headers=admin).raise_for_status().json()
    figures["queues"] = None
    figures["unavailable"] = [{"figure": "queues", "reason": f"Pub/Sub does not answer {SCRIPT}"}]
    page.route("**/admin/operations", lambda route: route.fulfill(json=figures))
    show(page, "/operations/live")
    expect(page.get_by_text(f"Pub/Sub does not answer {SCRIPT}")).to_be_visible()
    expect(page.locator(".chart-plot canvas").first).to_be_visible()
    expect(page.get_by_role("heading", name="Requests by route")).to_be_visible()


def test_a_rule_is_tried_before_it_is_saved(
    visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str]
) -> None:
    visitor = visit()
    page = open_console(visitor, owner)
    answer = api.get("/recommendations", params={"user_id": CUSTOMER, "k": 10}, headers=admin).json()
    shown = [product["name"] for product in answer["recommendations"]]
    last = answer["recommendations"][-1]
    rules = api.get("/admin/rules", headers=admin).json()
    editor = open_editor(page, last["external_id"], CUSTOMER)
    before, after = (editor.locator(".compared > div").nth(side) for side in (0, 1))
    expect(before.locator(".place")).to_have_count(len(shown))
    expect(after.locator(".place").first).to_contain_text("up")
    expect(before.locator(".place").last).to_contain_text("up")
    expect(editor.get_by_text("The answer changes.")).to_be_visible()
    visitor.keep_picture("console-draft-customer")
    # an excluded product leaves, and another one comes
    editor.get_by_text("Exclude", exact=True).click()
    editor.get_by_role("button", name="Compare").click()
    expect(before.locator(".place").last).to_contain_text("removed")
    expect(after.locator(".place").last).to_contain_text("added")
    # Enter in the field of the user compares, and saves nothing
    editor.get_by_label("User id", exact=True).press("Enter")
    expect(after.locator(".place").last).to_contain_text("added")
    assert api.get("/admin/rules", headers=admin).json() == rules
    now = api.get("/recommendations", params={"user_id": CUSTOMER, "k": 10}, headers=admin).json()
    assert [product["name"] for product in now["recommendations"]] == shown


def test_an_image_is_uploaded_and_shown(visit: Visit, owner: Login, api: httpx.Client, hostile: dict[str, str]) -> None:
    visitor = visit()
    page = open_console(visitor, owner, f"/catalog/products/{hostile['product']}")
    picker = page.get_by_label("Upload an image")
    # a drawing with a script in it is refused before it is sent
    picker.set_input_files({"name": "x.svg", "mimeType": "image/svg+xml", "buffer": b"<svg onload='alert(1)'/>"})
    expect(page.get_by_text("The file must be a PNG, JPEG or WebP image.")).to_be_visible()
    # what is typed beside it stays
    page.get_by_label("Brand", exact=True).fill("Typed before")
    picker.set_input_files({"name": f"{SCRIPT}.png", "mimeType": "image/png", "buffer": png()})
    expect(page.get_by_text("The image is saved.")).to_be_visible()
    expect(page.get_by_label("Brand", exact=True)).to_have_value("Typed before")
    address = api.get(f"/products/{hostile['product']}").json()["image_url"]
    assert f"/images/{hostile['product']}/" in address
    expect(page.get_by_label("Address of the image", exact=True)).to_have_value(address)
    page.wait_for_function("() => document.querySelector('img.image-now')?.naturalWidth === 8")
    visitor.keep_picture("console-image-uploaded")
    # a file that lies about its type is refused by the server
    visitor.expected.append("415")
    picker.set_input_files({"name": "y.png", "mimeType": "image/png", "buffer": b"<svg onload='alert(1)'/>"})
    expect(page.get_by_text("The content of the file is not image/png")).to_be_visible()
    assert api.get(f"/products/{hostile['product']}").json()["image_url"] == address


def test_support_reads_and_changes_nothing(visit: Visit, support: Login, owner: Login, api: httpx.Client) -> None:
    visitor = visit()
    page = open_console(visitor, support, "/operations/live")
    expect(page.get_by_role("heading", name="Requests by route")).to_be_visible()
    show(page, "/operations/jobs")
    expect(table(page, "Jobs").get_by_role("button", name="Run now").first).to_be_disabled()
    show(page, "/catalog/products/1")
    expect(page.get_by_label("Upload an image")).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    show(page, "/recommendations/rules")
    expect(page.get_by_role("button", name="New rule")).to_be_disabled()
    # a preview shows what a person did, which support may see
    show(page, f"/recommendations/preview?user_id={CUSTOMER}")
    expect(table(page, "In the answer")).to_be_visible()
    show(page, "/people")
    table(page, "Accounts").get_by_role("button", name="Open").first.click()
    account = page.get_by_role("dialog")
    for name in ("Export", "Erase"):
        expect(account.get_by_role("button", name=name)).to_be_disabled()
    visitor.keep_picture("console-support-account")
    page.keyboard.press("Escape")
    # what support has no access to is not offered, and an address of it shows nothing
    places = page.get_by_role("navigation").first
    expect(places.get_by_role("link", name="Catalog")).to_be_visible()
    for name in ("Audit log", "API keys"):
        expect(places.get_by_role("link", name=name)).to_have_count(0)
    visitor.expected.append("403")
    for address, label in (("/keys", "Keys"), ("/audit", "Entries")):
        show(page, address)
        expect(page.get_by_role("alert").first).to_be_visible()
        expect(table(page, label)).to_have_count(0)
    visitor.keep_picture("console-support-keys")
    # the API refuses too what the page disables
    token = api.post("/auth/login", json=support._asdict()).json()["access_token"]
    refused = api.post(
        "/admin/rules", json={"kind": "exclude", "product_id": 1}, headers={"Authorization": f"Bearer {token}"}
    )
    assert refused.status_code == 403


def test_a_person_is_exported_and_erased(visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str]) -> None:
    people = []
    for _ in range(2):
        name = uuid4().hex[:8]
        # names of people cannot be scripts
        person = {"username": f"person{name}", "email": f"{name}@shop.example", "password": "a plum in the rain"}
        registered = api.post("/auth/register", json=person)
        people.append((person["email"], registered.raise_for_status().json()["user_id"]))
    (email, user_id), (bystander, _other_id) = people
    visitor = visit()
    page = open_console(visitor, owner, "/people")
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Find").click()
    accounts = table(page, "Accounts")
    expect(accounts.get_by_role("row")).to_have_count(2)
    accounts.get_by_role("button", name="Open").click()
    with page.expect_download() as started:
        page.get_by_role("dialog").get_by_role("button", name="Export").click()
    exported = json.loads(started.value.path().read_text())
    assert started.value.suggested_filename == f"{user_id}.json"
    assert email in json.dumps(exported)
    assert bystander not in json.dumps(exported)
    page.get_by_role("dialog").get_by_role("button", name="Erase").first.click()
    visitor.keep_picture("console-erase")
    page.get_by_role("dialog", name="Erase").get_by_role("button", name="Erase").last.click()
    expect(accounts).to_have_count(0)
    assert api.post("/auth/login", json={"email": email, "password": "a plum in the rain"}).status_code == 401
    assert api.post("/auth/login", json={"email": bystander, "password": "a plum in the rain"}).status_code == 200


def test_an_api_key_is_created_shown_once_and_revoked(
    visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str]
) -> None:
    visitor = visit()
    page = open_console(visitor, owner, "/keys")
    name = f"{SCRIPT} {uuid4().hex[:6]}"
    page.get_by_label("Name").fill(name)
    page.get_by_text("Secret", exact=True).click()
    page.get_by_role("button", name="Create").click()
    shown = page.locator("[data-new-key]")
    expect(shown).to_be_visible()
    key = shown.text_content()
    assert key.startswith("sk_")
    visitor.keep_picture("console-key")
    # it opens what needs a secret key
    reported = {"user_id": CUSTOMER, "product_id": 1, "event_type": "view"}
    assert api.post("/events", json=reported, headers={"X-API-Key": key}).status_code == 202
    row = table(page, "Keys").get_by_role("row").filter(has_text=name)
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("Revoked")
    expect(row.get_by_role("button", name="Revoke")).to_have_count(0)
    listed = api.get("/admin/api-keys", headers=admin).json()["api_keys"]
    assert [one["revoked_at"] is not None for one in listed if one["name"] == name] == [True]
    # what is left of it is not the key
    page.reload()
    page.wait_for_selector("#page-title")
    assert key not in page.content()
