"""The pages of docs/connect lead where they say: their commands, exactly as written, on an empty shop."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from local.places import ROOT
from tests.running import Aisle

PAGES: Final = ROOT / "docs/connect"
# The commands run by the Python of the tests, and a request that is refused ends the page. A pause lasts until the
# events before it have taken effect, which on a busy machine may take longer than the page says: an event is listed as
# viewed a moment before the stored answers of its user are forgotten.
PROLOGUE: Final = """set -eu
aisle() { "$PYTHON" -P -m local "$@" 2>&1; }
curl() { command curl --silent --show-error --fail-with-body "$@"; echo; }
pauses=0
sleep() {
    pauses=$((pauses + 1))
    aisle wait
    "$PYTHON" -P -c 'from tests.e2e.test_connect import pause; pause()' "$shop" $pauses
}
"""
# `./aisle up` runs already
START: Final = "AISLE_DATA=none ./aisle up\n"


# What the visitor of the page for any shop is shown once each of its pauses is over: a path, and the products in it.
VISITOR: Final = "訪問者-1"
TAKEN_EFFECT: Final = [
    ("/recently-viewed", ["NOR.0707-60"]),
    ("/recently-viewed", ["AR.1101/5", "NOR.0707-60"]),
    # the other product of the order was given back
    ("/buy-again", ["NOR.0811-22"]),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aisle]:
    """An empty shop."""
    system = Aisle(tmp_path_factory.mktemp("connect") / "state")
    system.start()
    yield system
    assert system.stop() == 0


def commands(page: str) -> list[str]:
    """Return the blocks of commands of a page."""
    return re.findall(r"^```sh\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)


def follow(shop: Aisle, folder: Path, blocks: list[str]) -> str:
    """Run the blocks in one shell and return what they print."""
    text = "\n".join(block for block in blocks if block != START)
    script = folder / "page.sh"
    script.write_text(PROLOGUE + text.replace("http://localhost:8080", shop.url).replace("./aisle ", "aisle "))
    ran = subprocess.run(
        ["sh", str(script)],
        cwd=ROOT,
        env=shop.environment | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    return ran.stdout


def pause() -> None:
    """Wait until the events before a pause of the page, named by the address of the shop and its number, count."""
    shop, number = sys.argv[1:]
    path, expected = TAKEN_EFFECT[int(number) - 1]
    deadline = time.monotonic() + 60
    while (shown := shown_to_visitor(shop, path)) != expected:
        assert time.monotonic() < deadline, f"{path}: {shown}"
        time.sleep(0.05)


def shown_to_visitor(shop: str, path: str) -> list[str]:
    products = httpx.get(f"{shop}{path}", params={"user_id": VISITOR}).json()["products"]
    return [product["external_id"] for product in products]


def test_an_empty_shop_names_its_next_step(shop: Aisle) -> None:
    # printed after the line that the shop is ready
    deadline = time.monotonic() + 30
    while "Stop with Ctrl-C" not in shop.printed():
        assert time.monotonic() < deadline, shop.printed()
        time.sleep(0.05)
    source = re.search(r"import_catalog source=(\S+) dry_run=true", shop.printed())
    assert source is not None
    assert Path(source[1]).is_file()
    assert "docs/connect/custom.md" in shop.printed()


def test_the_page_for_any_shop_ends_with_personal_recommendations(shop: Aisle, tmp_path: Path) -> None:
    printed = follow(shop, tmp_path, commands("custom.md"))
    assert '"used": 29' in printed
    assert '"corrected_query":"فانوس نحاسي"' in printed
    # a visitor's first answer, the one after a view, and the one of a customer of the history
    assert re.findall(r'"strategy":"(\w+)"', printed) == ["trending", *["personalized"] * 4]
    assert '"text":"Because you viewed 竹製の行灯"' in printed
    assert "Stored 329 of 329 events." in printed
    assert '"outcome": "published"' in printed
    assert shown_to_visitor(shop.url, "/buy-again") == ["NOR.0811-22"]
    headers = {"Authorization": f"Bearer {admin_token(shop)}"}
    assert httpx.get(f"{shop.url}/admin/rejected-events", headers=headers).json()["total"] == 0


@pytest.mark.parametrize("page", ["shopify.md", "woocommerce.md"])
def test_the_page_of_a_shop_system_imports_its_export_and_its_orders(shop: Aisle, tmp_path: Path, page: str) -> None:
    # the variables of the page for any shop, on which these pages build
    first, *_ = (block for block in commands("custom.md") if block != START)
    printed = follow(shop, tmp_path, [first, *commands(page)])
    assert f'"preset": "{page.removesuffix(".md")}"' in printed
    assert printed.count('"used": 29') == 2
    assert '"rejected": 0' in printed
    assert "Stored 13 of 13 events." in printed
    assert '"external_id":"NOR.0811-22"' in printed.rpartition('"job": "bought_together"')[2]


def admin_token(shop: Aisle) -> str:
    match = re.search(r"ADMIN_TOKEN='([^']+)'", shop.run("env").stdout)
    assert match is not None
    return match[1]
