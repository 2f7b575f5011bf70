"""The script of shops (`/aisle.js`) in a page of another origin: consent, events, blocks, and the end of a page."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.state import read_json
from tests.running import Aisle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<script>document.title='broken'</script>"
PATIENCE_S = 60
SKUS = ("LAMP/1", "CHAIR 2", "VASE&3", "RUG-4")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what the page asks for is no result."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, as the shop's own web server does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def aisle(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aisle]:
    """A running system with four products, one of them with the name of a script."""
    system = Aisle(tmp_path_factory.mktemp("snippet") / "state")
    system.start()
    token = read_json(system.home / "run.json")["environment"]["ADMIN_TOKEN"]
    for number, sku in enumerate(SKUS, 1):
        product = {"name": HOSTILE if number == 3 else f"Product {number}", "price": number, "quantity": 9}
        answer = httpx.post(
            f"{system.url}/products",
            json=product | {"external_id": sku, "category": "Home"},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 201, answer.text
    # a view of each, so that there are popular products
    for sku in SKUS:
        event = {"user_id": "customer-1", "external_id": sku, "event_type": "view"}
        assert httpx.post(f"{system.url}/events", json=event).status_code == 202
    assert system.run("job", "popular").returncode == 0
    try:
        yield system
    finally:
        assert system.stop() == 0


@pytest.fixture
def page(browser: "Browser", aisle: Aisle, tmp_path: Path) -> "Iterator[Callable[[str, str], Page]]":
    """Returns a function that opens a page of the shop with a body and attributes of the script."""
    context = browser.new_context()
    with served(tmp_path) as shop:

        def open_page(body: str, attributes: str = "") -> "Page":
            (tmp_path / "index.html").write_text(
                f'<!doctype html><html lang="en"><title>Shop</title><body>{body}'
                f'<script src="{aisle.url}/aisle.js" {attributes}></script></body></html>'
            )
            opened = context.new_page()
            opened.goto(shop)
            return opened

        yield open_page
    context.close()


def guest_of(page: "Page") -> str:
    page.wait_for_function("localStorage.getItem('aisle.guest')", timeout=PATIENCE_S * 1000)
    return str(page.evaluate("localStorage.getItem('aisle.guest')"))


def viewed(aisle: Aisle, user_id: str) -> list[str]:
    answer = httpx.get(f"{aisle.url}/recently-viewed", params={"user_id": user_id}).json()
    return [product["external_id"] for product in answer["products"]]


def wait_for(read: Callable[[], Any], expected: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (value := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert value == expected


def test_nothing_is_sent_or_stored_before_consent(aisle: Aisle, page: "Callable[..., Page]") -> None:
    opened = page('<div data-aisle-view="LAMP/1"></div><div id="p" data-aisle="popular" data-k="3"></div>')
    opened.wait_for_selector("#p a")
    opened.evaluate("aisle.track('view', { product: 'LAMP/1' })")
    assert opened.evaluate("Object.keys(localStorage)") == []
    sent = json.loads(
        opened.evaluate("JSON.stringify(performance.getEntriesByType('resource').map((one) => one.name))")
    )
    assert [url for url in sent if "/events" in url or "/auth" in url] == []
    # what was tracked before is not kept for later
    opened.evaluate("aisle.consent(true)")
    guest = guest_of(opened)
    wait_for(lambda: viewed(aisle, guest), ["LAMP/1"])


def test_a_refusal_forgets_the_guest(page: "Callable[..., Page]") -> None:
    opened = page('<div data-aisle-view="LAMP/1"></div>', 'data-consent="given"')
    guest_of(opened)
    opened.evaluate("aisle.consent(false)")
    assert not opened.evaluate("localStorage.getItem('aisle.guest')")
    opened.evaluate("aisle.track('view', { product: 'LAMP/1' })")
    opened.reload()
    assert not opened.evaluate("localStorage.getItem('aisle.guest')")


def test_a_refusal_while_a_guest_is_created_ends_what_waits_for_the_guest(page: "Callable[..., Page]") -> None:
    opened = page("", 'data-consent="given"')
    held: list[Any] = []
    sent: list[str] = []
    opened.on("request", lambda request: sent.append(request.url))
    # Playwright cannot call a method of a list
    opened.route("**/auth/guest*", lambda route: held.append(route))  # noqa: PLW0108
    with opened.expect_request("**/auth/guest*"):
        opened.evaluate("aisle.track('view', { product: 'LAMP/1' }); void aisle.flush()")
    opened.evaluate("aisle.consent(false)")
    with opened.expect_response("**/auth/guest*"):
        held[0].continue_()
    opened.wait_for_timeout(500)
    assert [url for url in sent if "/events" in url] == []
    assert not opened.evaluate("localStorage.getItem('aisle.guest')")


def test_a_block_shows_products_as_text_and_reports_clicks(aisle: Aisle, page: "Callable[..., Page]") -> None:
    body = """
        <div data-aisle-view="LAMP/1"></div><button data-aisle-cart="CHAIR 2" data-quantity="2">Add</button>
        <div id="own" data-aisle="similar" data-product="LAMP/1" data-k="3">
          <template><article><a><b data-field="name"></b> <i data-field="price"></i></a></article></template></div>
        <div id="home" data-aisle="recommendations" data-link="#/p/{external_id}" data-k="3"></div>"""
    opened = page(body, 'data-consent="given"')
    opened.wait_for_selector("#own article")
    opened.wait_for_selector("#home a")
    assert opened.title() == "Shop"
    names = opened.locator("#own b").all_inner_texts() + opened.locator("#home [data-field=name]").all_inner_texts()
    assert HOSTILE in names
    link = opened.locator("#home a").first
    assert str(link.get_attribute("href")).startswith("#/p/")
    with opened.expect_response("**/recommendations/feedback*") as response:
        link.click()
    assert response.value.status == 202
    assert response.value.request.post_data_json["action"] == "click"
    with opened.expect_response("**/events/batch*") as response:
        opened.click("button")
    events = response.value.request.post_data_json["events"]
    (added,) = [event for event in events if event["event_type"] == "add_to_cart"]
    assert (added["external_id"], added["metadata"]) == ("CHAIR 2", {"quantity": 2})
    assert response.value.json()["rejected"] == []


def test_an_event_survives_the_end_of_its_page(aisle: Aisle, page: "Callable[..., Page]") -> None:
    opened = page("", 'data-consent="given"')
    opened.evaluate("aisle.track('view', { product: 'RUG-4' }); aisle.flush()")
    guest = guest_of(opened)
    wait_for(lambda: viewed(aisle, guest), ["RUG-4"])
    opened.evaluate("aisle.track('view', { product: 'VASE&3' })")
    opened.close(run_before_unload=True)
    wait_for(lambda: viewed(aisle, guest), ["VASE&3", "RUG-4"])


def test_a_customer_who_is_logged_in_is_named(aisle: Aisle, page: "Callable[..., Page]") -> None:
    opened = page("", 'data-consent="given"')
    opened.evaluate("aisle.identify('customer-7')")
    opened.evaluate("aisle.track('view', { product: 'LAMP/1' }); aisle.flush()")
    wait_for(lambda: viewed(aisle, "customer-7"), ["LAMP/1"])
    assert not opened.evaluate("localStorage.getItem('aisle.guest')")


def test_the_script_is_small(aisle: Aisle) -> None:
    with httpx.stream("GET", f"{aisle.url}/aisle.js", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert sum(len(part) for part in answer.iter_raw()) < 3000
