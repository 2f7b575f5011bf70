"""The pages in a real browser: headless Chromium, driven by Playwright, against a running shop of the shipped data.

Every page that a test opens is watched: an error on its console, a script that fails and a request to another host fail
the test, unless it expects them. The tests are skipped where Playwright or Chromium is missing (docs/storefront.md).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from local.state import holder, read_json
from tests.running import Aisle

try:
    from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
except ImportError:
    sync_playwright = None  # type: ignore[assignment]  # the tests are then skipped

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# the state folder of a shop that runs already, instead of one that the tests start
RUNNING = os.environ.get("AISLE_BROWSER_HOME")
SCREENSHOTS = os.environ.get("AISLE_SCREENSHOTS")
DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
# a step of a page on a machine that does other things too
PATIENCE_MS = 30_000


class Visitor:
    """A new visitor: a browser without history, and what went wrong in it."""

    def __init__(self, context: "BrowserContext", url: str) -> None:
        self.context = context
        self.url = url
        self.page = context.new_page()
        # texts of console errors that the test expects
        self.expected: list[str] = []
        self.errors: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"console: {message.text} ({message.location.get('url')})")

    def _on_request(self, request: Any) -> None:
        if urlsplit(request.url).scheme in ("data", "blob"):
            return
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.errors.append(f"request to another host: {request.url}")

    def open(self, address: str = "") -> "Page":
        """Open an address behind the `#`, and wait until the page is there."""
        self.page.goto(f"{self.url}/{address}")
        self.page.wait_for_selector("main")
        return self.page

    def unexpected(self) -> list[str]:
        return [error for error in self.errors if not any(text in error for text in self.expected)]

    def keep_picture(self, name: str) -> None:
        if SCREENSHOTS:
            folder = Path(SCREENSHOTS)
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(folder / f"{name}.png"))


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Headless Chromium."""
    if sync_playwright is None:
        pytest.skip("Playwright is not installed: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        # root has no sandbox, and containers have little shared memory
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="session")
def home(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a running shop with the shipped data."""
    if RUNNING:
        yield Path(RUNNING)
        return
    system = Aisle(tmp_path_factory.mktemp("shop") / "state", data="online_retail")
    system.start()
    yield system.home
    assert system.stop() == 0


@pytest.fixture(scope="session")
def url(home: Path) -> str:
    """The address of the shop."""
    return f"http://localhost:{holder(home)['port']}"


@pytest.fixture(scope="session")
def admin(home: Path) -> dict[str, str]:
    """Headers of a request that may do everything."""
    return {"Authorization": f"Bearer {read_json(home / 'run.json')['environment']['ADMIN_TOKEN']}"}


@pytest.fixture
def visit(browser: "Browser", url: str) -> "Iterator[Callable[..., Visitor]]":
    """Returns a function that lets a new visitor come; ends with what went wrong in their browsers."""
    visitors: list[Visitor] = []

    def come(device: str = "desktop", scheme: str = "light", language: str = "en-GB") -> Visitor:
        context = browser.new_context(**DEVICES[device], color_scheme=scheme, locale=language)  # type: ignore[arg-type]  # a literal
        context.set_default_timeout(PATIENCE_MS)
        visitor = Visitor(context, url)
        visitors.append(visitor)
        return visitor

    yield come
    errors = [error for visitor in visitors for error in visitor.unexpected()]
    for visitor in visitors:
        visitor.context.close()
    assert errors == []


@pytest.fixture
def api(url: str) -> Iterator[httpx.Client]:
    """The API of the shop that the pages show."""
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client
