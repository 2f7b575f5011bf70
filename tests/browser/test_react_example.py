"""The React example: its types agree, and in Node it renders what a running shop answers."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from local.places import ROOT

EXAMPLE = ROOT / "clients/js/examples/next"
MODULES = ROOT / "tests/browser/node_modules"
COMPILER = MODULES / "typescript/bin/tsc"
RENDER = """
import { createElement as h } from "react";
import { renderToString } from "react-dom/server";
import { AisleProvider, ConsentBanner, Recommendations, TrackView } from "./aisle.js";
import { forEverybody } from "./server.js";

const [url, nowhere, externalId] = process.argv.slice(2);
const href = (product) => `/products/${encodeURIComponent(product.external_id)}`;
const page = (initial) => renderToString(
  h(AisleProvider, { url },
    h(TrackView, { externalId }),
    h(Recommendations, { title: "You may also like", initial, externalId, href }),
    h(ConsentBanner)));
const name = "</li><script>alert(1)</script>";
const product = { id: 1, external_id: "a b", name, price: 1234.5, currency: "EUR", image_url: null };
console.log(JSON.stringify({
  similar: page(await forEverybody(url, 3, externalId)),
  popular: page(await forEverybody(url, 3)),
  away: page(await forEverybody(nowhere, 3)),
  hostile: page([product]),
}));
"""

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(not (MODULES / "react-dom").is_dir(), reason="npm ci in tests/browser installs React"),
]


def compile_example(*options: str) -> str:
    """Run the type checker, and return what it finds."""
    command = ["node", str(COMPILER), "-p", str(EXAMPLE), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False).stdout


def test_the_types_agree(tmp_path: Path) -> None:
    assert compile_example("--noEmit") == ""


def test_the_types_are_checked(tmp_path: Path) -> None:
    # the bystander: a wrong use of the client is found
    wrong = EXAMPLE / "wrong.test.ts"
    text = 'import { forEverybody } from "./server.js";\nexport const wrong: number = await forEverybody(1, 2);\n'
    wrong.write_text(text)
    try:
        assert "TS2345" in compile_example("--noEmit")
    finally:
        wrong.unlink()


@pytest.fixture
def rendered(url: str, api: httpx.Client, tmp_path: Path) -> dict[str, str]:
    """The page as a server renders it: of a product, of all, while Aisle is away, and of a hostile product."""
    assert compile_example("--outDir", str(tmp_path), "--noEmit", "false") == ""
    (tmp_path / "package.json").write_text('{"type": "module"}')
    packages = tmp_path / "node_modules"
    packages.mkdir()
    (packages / "aisle-client").symlink_to(ROOT / "clients/js")
    for name in ("react", "react-dom", "scheduler"):
        (packages / name).symlink_to(MODULES / name)
    (tmp_path / "render.js").write_text(RENDER)
    product = api.get("/popular", params={"k": 1}).json()["products"][0]
    command = ["node", "render.js", url, "http://127.0.0.1:9", product["external_id"]]
    process = subprocess.run(
        command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stderr
    pages: dict[str, str] = json.loads(process.stdout)
    return pages


def test_a_server_renders_the_list_that_suits_everybody(rendered: dict[str, str], api: httpx.Client) -> None:
    popular = api.get("/popular", params={"k": 3}).json()["products"]
    for product in popular:
        assert f'href="/products/{product["external_id"]}"' in rendered["popular"]
    assert rendered["similar"].count("<li>") == 3
    assert rendered["similar"] != rendered["popular"]


def test_without_aisle_the_page_has_no_list_and_no_error(rendered: dict[str, str]) -> None:
    assert "<h2>" not in rendered["away"]
    assert re.findall(r"<section[^>]*>", rendered["away"]) == ['<section aria-label="Consent">']


def test_a_name_is_text_and_a_price_has_its_currency(rendered: dict[str, str]) -> None:
    assert "<script>" not in rendered["hostile"]
    assert "&lt;/li&gt;&lt;script&gt;" in rendered["hostile"]
    assert "€1,234.50" in rendered["hostile"]
    assert 'href="/products/a%20b"' in rendered["hostile"]
