"""docs/connect/medusa.md, as written, with a real Medusa 2: its packages from npm, on an embedded PostgreSQL.

It needs Node, and `npm ci` in tests/e2e/medusa; `.ci/run --all` does both. Without them it is skipped.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest

from local import postgres
from local.places import ROOT
from local.processes import free_port
from local.state import State
from shared.domain import signatures
from tests.running import Aisle

PROJECT: Final = ROOT / "tests/e2e/medusa"
PAGE: Final = ROOT / "docs/connect/medusa.md"
PACKAGES: Final = PROJECT / "node_modules"
PROLOGUE: Final = """set -eu
aisle() { "$PYTHON" -P -m local "$@" 2>&1; }
curl() { command curl --silent --show-error --fail-with-body "$@"; echo; }
"""
# as POST /auth/guest gives them
GUEST, OTHER_GUEST = (f"guest_{digit * 32}" for digit in "12")
ADMIN: Final = {"email": "admin@medusa.test", "password": "a-long-password"}

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Medusa needs Node 20.19 or newer, which is not on PATH"),
    pytest.mark.skipif(not PACKAGES.is_dir(), reason="npm ci in tests/e2e/medusa installs Medusa"),
]


def until(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.1)


class Medusa:
    """A Medusa server with its database, in a folder of its own."""

    def __init__(self, folder: Path, aisle: Aisle, webhook_key: str) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.subscriber = self.project / ".medusa/server/src/subscribers/aisle.js"
        self.aside = folder / "aisle.js"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.state = State.create(folder / "state")
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = dict(os.environ) | {
            "NODE_ENV": "production",
            "MEDUSA_DISABLE_TELEMETRY": "true",
            "MEDUSA_SECRET": secrets.token_urlsafe(16),
            # as the page says
            "AISLE_URL": aisle.url,
            "AISLE_WEBHOOK_KEY": f"test:{webhook_key}",
        }
        self.admin = httpx.Client(base_url=self.url, timeout=60)
        self.store = httpx.Client(base_url=self.url, timeout=60)
        self.key = ""

    def prepare(self) -> None:
        """Start PostgreSQL, and build and migrate the project with the subscriber of the page."""
        self.database = postgres.start(self.state, self.folder / "postgres.log", durable=False)
        postgres.wait_ready(self.state, self.database)
        port, password = self.database.port or 0, self.state.secret("postgres")
        with postgres.connection(port, password) as connection:
            connection.run("CREATE DATABASE medusa")
        self.environment["DATABASE_URL"] = f"postgres://{postgres.NAME}:{password}@127.0.0.1:{port}/medusa"
        (self.project / "src/subscribers").mkdir(parents=True)
        for name in ("package.json", "medusa-config.ts", "tsconfig.json"):
            shutil.copy(PROJECT / name, self.project)
        (self.project / "node_modules").symlink_to(PACKAGES)
        shutil.copy(ROOT / "docs/connect/example/medusa-subscriber.ts", self.project / "src/subscribers/aisle.ts")
        self.medusa("db:migrate")
        # with errors of types it says so
        assert "Backend build completed successfully" in self.medusa("build")
        # put back when the page has put it into the project
        self.subscriber.rename(self.aside)
        self.medusa("user", "-e", ADMIN["email"], "-p", ADMIN["password"])

    def medusa(self, *arguments: str) -> str:
        """Run Medusa's command line and return what it prints."""
        ran = subprocess.run(
            [PACKAGES / ".bin/medusa", *arguments],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
        return ran.stdout

    def start(self) -> None:
        """Start the server as it is deployed, and wait until it is ready."""
        with (self.folder / "medusa.log").open("wb") as log:
            self.process = subprocess.Popen(
                [PACKAGES / ".bin/medusa", "start", "-p", self.url.rpartition(":")[2]],
                cwd=self.project / ".medusa/server",
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._is_ready, "Medusa is ready: " + str(self.folder / "medusa.log"), 600)

    def start_with_subscriber(self) -> None:
        """Start the server again with the subscriber, which the page has put into the project by now."""
        self.stop_server()
        self.aside.rename(self.subscriber)
        self.start()

    def make_keys(self) -> None:
        """Make a secret API key, and read the publishable one."""
        token = self.call("POST", "/auth/user/emailpass", **ADMIN)["token"]
        self.admin.headers["Authorization"] = f"Bearer {token}"
        key = self.call("POST", "/admin/api-keys", title="Aisle", type="secret")["api_key"]["token"]
        del self.admin.headers["Authorization"]
        self.key, self.admin.auth = key, httpx.BasicAuth(key, "")
        publishable = self.call("GET", "/admin/api-keys?type=publishable")["api_keys"][0]
        self.store.headers["x-publishable-api-key"] = publishable["token"]
        self.channel = publishable["sales_channels"][0]["id"]

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "medusa.log").read_text()[-3000:]
        try:
            return self.admin.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def call(self, method: str, path: str, *, of_store: bool = False, **body: Any) -> dict[str, Any]:
        client = self.store if of_store else self.admin
        answer = client.request(method, path, json=body if method == "POST" else None)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        found: dict[str, Any] = answer.json()
        return found

    def stop_server(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        self.process = None

    def stop(self) -> None:
        for client in (self.admin, self.store):
            client.close()
        self.stop_server()
        self.database.stop()

    # what a merchant and a shopper do

    def add_shop(self) -> None:
        """A region, two categories of which one is inside the other, and three products."""
        self.region = self.call(
            "POST",
            "/admin/regions",
            name="Europe",
            currency_code="eur",
            countries=["de"],
            payment_providers=["pp_system_default"],
        )["region"]["id"]
        women = self.category("Women")
        shoes = self.category("Shoes", parent_category_id=women)
        self.products = {
            "Runner": self.product("Runner", {"RUN-40": 59.9, "RUN-41": 64.9}, categories=[{"id": shoes}]),
            "Sandal": self.product("Sandal", {None: 35}, categories=[{"id": shoes}, {"id": women}]),
            "Sock": self.product("Sock", {"SOCK": 5}, manage_inventory=True),
        }

    def category(self, name: str, **fields: Any) -> str:
        answer = self.call("POST", "/admin/product-categories", name=name, is_active=True, **fields)
        return str(answer["product_category"]["id"])

    def product(
        self, title: str, prices: dict[str | None, float], *, manage_inventory: bool = False, **fields: Any
    ) -> dict[str, Any]:
        variants = [
            {
                "title": str(number),
                "sku": sku,
                "manage_inventory": manage_inventory,
                "options": {"Size": str(number)},
                "prices": [{"currency_code": "eur", "amount": price}],
            }
            for number, (sku, price) in enumerate(prices.items(), 1)
        ]
        product: dict[str, Any] = self.call(
            "POST",
            "/admin/products",
            title=title,
            status="published",
            description=f"<p>A <b>{title}</b></p>",
            options=[{"title": "Size", "values": [variant["title"] for variant in variants]}],
            sales_channels=[{"id": self.channel}],
            variants=variants,
            **fields,
        )["product"]
        # Medusa answers in any order
        product["variants"].sort(key=lambda variant: variant["title"])
        return product

    def order(self, user_id: str, lines: dict[str, int]) -> str:
        """Buy pieces of products, by the variant's id, as the storefront does, and return the order's id."""
        address = {"first_name": "A", "last_name": "B", "address_1": "C", "city": "D", "postal_code": "1"}
        cart = self.call(
            "POST",
            "/store/carts",
            of_store=True,
            region_id=self.region,
            email="shopper@medusa.test",
            metadata={"aisle_user_id": user_id},
            items=[{"variant_id": variant, "quantity": pieces} for variant, pieces in lines.items()],
            shipping_address=address | {"country_code": "de"},
        )["cart"]
        payment = self.call("POST", "/store/payment-collections", of_store=True, cart_id=cart["id"])
        sessions = f"/store/payment-collections/{payment['payment_collection']['id']}/payment-sessions"
        self.call("POST", sessions, of_store=True, provider_id="pp_system_default")
        completed = self.call("POST", f"/store/carts/{cart['id']}/complete", of_store=True)
        assert completed["type"] == "order", completed
        return str(completed["order"]["id"])

    def visit(self, aisle: str, variant: str) -> dict[str, Any]:
        """Buy a variant in a storefront with Medusa's SDK and the files of the page; return what the visitor saw."""
        ran = subprocess.run(
            ["node", PROJECT / "storefront.mjs"],
            env=os.environ
            | {
                "AISLE": aisle,
                "MEDUSA": self.url,
                "PUBLISHABLE_KEY": str(self.store.headers["x-publishable-api-key"]),
                "REGION": self.region,
                "VARIANT": variant,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        seen: dict[str, Any] = orjson.loads(ran.stdout)
        return seen


class Shop:
    """Aisle beside Medusa."""

    def __init__(self, aisle: Aisle, medusa: Medusa, webhook_key: str) -> None:
        self.aisle, self.medusa, self.webhook_key = aisle, medusa, webhook_key
        self.client = httpx.Client(base_url=aisle.url, timeout=30)

    def products(self) -> dict[str, dict[str, Any]]:
        """Return every product that is shown, by its external id. Lists show one of a group."""
        shown: dict[str, dict[str, Any]] = {}
        for product in self.client.get("/products", params={"page_size": 100}).json()["products"]:
            shown[product["external_id"]] = product
        return shown

    def product(self, external_id: str) -> dict[str, Any] | None:
        found = self.client.get("/products", params={"external_id": external_id}).json()["products"]
        return found[0] if found else None

    def bought(self, user_id: str) -> set[str]:
        """Return what a user may buy again: what was bought and not given back."""
        answer = self.client.get("/buy-again", params={"user_id": user_id}).json()
        return {product["external_id"] for product in answer["products"]}

    def deliver(self, body: dict[str, Any], at: datetime, key: str | None = None) -> httpx.Response:
        content = orjson.dumps(body)
        signature = signatures.sign(content, (key or self.webhook_key).encode(), at)
        headers = {signatures.HEADER: signature, "Content-Type": "application/json"}
        return self.client.post("/v1/medusa", content=content, headers=headers)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A Medusa shop with a catalog and an order, and an empty Aisle beside it."""
    folder = Path(tempfile.mkdtemp(prefix="aisle-medusa-"))
    folder.chmod(0o755)
    key = secrets.token_urlsafe(32)
    aisle = Aisle(tmp_path_factory.mktemp("medusa") / "state")
    medusa = Medusa(folder, aisle, key)
    try:
        medusa.prepare()
        medusa.start()
        medusa.make_keys()
        medusa.add_shop()
        aisle.environment |= {
            "FEED_SECRETS": f"aisle-feed-medusa={medusa.key}",
            "ALLOW_PRIVATE_SOURCES": "true",
            "WEBHOOK_KEYS": f"test:{key}",
        }
        aisle.start()
        shop = Shop(aisle, medusa, key)
        try:
            yield shop
        finally:
            shop.client.close()
            assert aisle.stop() == 0
    finally:
        medusa.stop()
        shutil.rmtree(folder)


def follow(shop: Shop, folder: Path) -> str:
    """Run the commands of the page, exactly as written, except for addresses and the one that runs already."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert "./aisle up" in blocks.pop(0)
    text = "\n".join(blocks).replace("http://localhost:8080", shop.aisle.url).replace("./aisle ", "aisle ")
    script = folder / "page.sh"
    script.write_text(PROLOGUE + text)
    more = {"medusa": shop.medusa.url, "MEDUSA_PROJECT": str(shop.medusa.project), "PYTHON": sys.executable}
    ran = subprocess.run(
        ["sh", str(script)],
        cwd=ROOT,
        env=shop.aisle.environment | more,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    return ran.stdout


def test_a_medusa_shop_is_pulled_and_kept_current(shop: Shop, tmp_path: Path) -> None:
    medusa = shop.medusa
    variants = {title: [each["id"] for each in product["variants"]] for title, product in medusa.products.items()}
    (sandal,) = variants["Sandal"]
    first = medusa.order(GUEST, {variants["Runner"][0]: 2, sandal: 1})

    printed = follow(shop, tmp_path)
    assert '"imported": 1' in printed
    details = re.findall(r'"last_detail":"([^"]*)"', printed)
    assert details == ["4 created, 0 changed, 0 variants refused; 0 hidden; 1 orders."]
    # a group is one product of the list
    assert set(shop.products()) & {"RUN-40", "RUN-41", sandal} in ({"RUN-40", sandal}, {"RUN-41", sandal})
    runner = shop.product("RUN-40")
    assert runner is not None
    assert (runner["name"], runner["description"], runner["price"]) == ("Runner", "A Runner", 59.9)
    assert (runner["currency"], runner["item_group_id"]) == ("EUR", medusa.products["Runner"]["id"])
    assert runner["category_path"] == "Women > Shoes"
    until(lambda: shop.bought(GUEST) == {"RUN-40", sandal}, "the order was pulled")

    # a price that changes in Medusa, by its subscriber
    medusa.start_with_subscriber()
    change = f"/admin/products/{medusa.products['Runner']['id']}/variants/{variants['Runner'][0]}"
    medusa.call("POST", change, prices=[{"currency_code": "eur", "amount": 49.9}])
    until(lambda: (shop.product("RUN-40") or {})["price"] == 49.9, "the new price")
    assert (shop.product("RUN-41") or {})["price"] == 64.9

    # the stock
    assert (shop.product("SOCK") or {})["quantity"] == 0
    item = medusa.call("GET", "/admin/inventory-items?sku=SOCK")["inventory_items"][0]["id"]
    location = medusa.call("POST", "/admin/stock-locations", name="Store")["stock_location"]["id"]
    medusa.call("POST", f"/admin/stock-locations/{location}/sales-channels", add=[medusa.channel])
    medusa.call("POST", f"/admin/inventory-items/{item}/location-levels", location_id=location, stocked_quantity=7)
    until(lambda: (shop.product("SOCK") or {})["quantity"] == 7, "the stock")

    # an order, and what is given back of it
    second = medusa.order(OTHER_GUEST, {variants["Runner"][1]: 1})
    until(lambda: shop.bought(OTHER_GUEST) == {"RUN-41"}, "the second order")
    medusa.call("POST", f"/admin/orders/{second}/cancel")
    until(lambda: not shop.bought(OTHER_GUEST), "the canceled order is given back")
    payments = medusa.call("GET", f"/admin/orders/{first}?fields=*payment_collections.payments")
    payment = payments["order"]["payment_collections"][0]["payments"][0]
    medusa.call("POST", f"/admin/payments/{payment['id']}/capture")
    assert shop.bought(GUEST) == {"RUN-40", sandal}
    medusa.call("POST", f"/admin/payments/{payment['id']}/refund", amount=payment["amount"])
    until(lambda: not shop.bought(GUEST), "the order that was paid back is given back")

    # a visit with the storefront's files: its order is that visitor's, and recommendations are Medusa's products
    visit = medusa.visit(shop.aisle.url, variants["Runner"][0])
    until(lambda: shop.bought(visit["visitor"]) == {"RUN-40"}, "the order of the storefront")
    assert {"title": "Sandal", "price": 35} in visit["recommended"]
    assert "Runner" not in {product["title"] for product in visit["recommended"]}

    # a shopper who writes another user's id into the cart buys under the customer that Medusa names
    medusa.order("acct_" + "3" * 32, {variants["Runner"][1]: 1})
    medusa.order("cus_other", {variants["Runner"][1]: 1})
    customer = medusa.call("GET", "/admin/customers?email=shopper@medusa.test")["customers"][0]["id"]
    until(lambda: shop.bought(customer) == {"RUN-41"}, "the order of the customer")
    assert shop.bought("cus_other") == set()

    # what is not sold any more
    medusa.call("DELETE", f"/admin/products/{medusa.products['Sandal']['id']}/variants/{sandal}")
    until(lambda: sandal not in shop.products(), "the deleted variant is hidden")
    medusa.call("POST", f"/admin/products/{medusa.products['Sock']['id']}", status="draft")
    until(lambda: "SOCK" not in shop.products(), "the draft is hidden")
    medusa.call("POST", f"/admin/products/{medusa.products['Sock']['id']}", status="published")
    until(lambda: "SOCK" in shop.products(), "the product is shown again")
    assert "Aisle was not told" not in (medusa.folder / "medusa.log").read_text()


def test_a_delivery_that_is_replayed_old_or_forged_is_refused(shop: Shop) -> None:
    now = datetime.now(UTC)
    body = {"type": "product", "id": "prod_gone", "product": None}
    assert shop.deliver(body, now).status_code == 200
    assert shop.deliver(body, now).status_code == 409
    assert shop.deliver(body, now - timedelta(seconds=1)).status_code == 409
    assert shop.deliver(body, now + timedelta(milliseconds=1)).status_code == 200
    assert shop.deliver(body, now - timedelta(minutes=5, seconds=1)).status_code == 401
    assert shop.deliver(body, now + timedelta(seconds=2), "x" * 32).status_code == 401


def test_a_pull_of_everything_changes_nothing_that_the_subscriber_has_brought(shop: Shop) -> None:
    token = re.search(r"ADMIN_TOKEN='([^']+)'", shop.aisle.run("env").stdout)
    assert token is not None
    admin = {"Authorization": f"Bearer {token[1]}"}
    # a change of the feed begins its pull anew
    assert shop.client.patch("/admin/feeds/1", json={"every_minutes": 20}, headers=admin).status_code == 200
    assert '"imported": 1' in shop.aisle.run("job", "import_feeds").stdout
    detail = shop.client.get("/admin/feeds/1", headers=admin).json()["last_detail"]
    assert detail == "0 created, 0 changed, 0 variants refused; 0 hidden; 5 orders."
    assert shop.client.get("/admin/rejected-events", headers=admin).json()["total"] == 0
    assert shop.bought(GUEST) == shop.bought(OTHER_GUEST) == set()
