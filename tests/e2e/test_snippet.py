"""`/aisle.js` sends nothing that a visitor did not consent to, and reports no event as somebody else's.

The script runs in Node over the few parts of a page that it needs here, and asks a real server. tests/browser has the
script in real pages.
"""

import json
import shutil
import subprocess
from typing import Any

import pytest

from local.places import ROOT
from tests.e2e.scripted import Answer, Scripted, answering

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")

GUEST = Answer(201, {"user_id": "guest_1"})
EMPTY = Answer(200, {"products": [], "similar_products": []})
TAKEN = Answer(202, {"accepted": 1, "rejected": []})
BUSY = Answer(503, {"title": "Busy"})
PAGE = """
    import { readFileSync } from "node:fs";
    import vm from "node:vm";
    const stored = new Map();
    const localStorage = {
      getItem: (name) => stored.get(name) ?? null,
      setItem(name, value) {
        if (process.env.FULL) throw new DOMException("full", "QuotaExceededError");
        stored.set(name, value);
      },
    };
    const block = {
      dataset: { aisle: "similar", product: "LAMP/1" },
      querySelector: () => null, replaceChildren() {}, dispatchEvent() {},
    };
    const document = {
      currentScript: { src: `${process.env.SHOP}/aisle.js`, dataset: { consent: process.env.CONSENT } },
      documentElement: {}, readyState: "complete", addEventListener() {},
      querySelectorAll: (selector) => (process.env.BLOCK && selector === "[data-aisle]" ? [block] : []),
    };
    const asked = [];
    /** Ends when the page has asked for a path, and goes on before the answer is there. */
    const request = async (path) => {
      while (!asked.includes(path)) await new Promise((resolve) => setImmediate(resolve));
    };
    const page = vm.createContext({
      fetch: (url, options) => (asked.push(new URL(url).pathname), fetch(url, options)),
      document, localStorage, URL, Intl, crypto, console, setTimeout, clearTimeout, CustomEvent, Blob,
      navigator: { sendBeacon: () => true }, addEventListener() {},
    });
    page.window = page;
    vm.runInContext(readFileSync(process.env.SCRIPT, "utf8"), page);
    const aisle = page.aisle;
"""


def in_page(script: str, server: Scripted, **environment: str) -> Any:
    """Run a script in a page with `/aisle.js`."""
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", PAGE + script + "\nprocess.exit(0);"],
        env={"SHOP": server.url, "SCRIPT": str(ROOT / "web/aisle.js"), "CONSENT": "given"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


def users_of(request: Any) -> list[tuple[str, str]]:
    return [(event["external_id"], event["user_id"]) for event in request.json()["events"]]


def test_a_block_before_consent_does_not_say_who_looks() -> None:
    with answering(EMPTY) as server:
        in_page(
            'await aisle.identify("customer-7", "a.b.c"); await aisle.consent(true);',
            server,
            CONSENT="required",
            BLOCK="1",
        )
    seen = [(request.path, request.headers.get("Authorization")) for request in server.received]
    named = "/similar-products?k=6&external_id=LAMP%2F1&user_id=customer-7"
    anonymous = ("/similar-products?k=6&external_id=LAMP%2F1", None)
    # when the script starts, after identify, and then with consent
    assert seen == [anonymous, anonymous, (named, "Bearer a.b.c")]


def test_consent_that_ends_while_a_guest_is_created_ends_the_events_too() -> None:
    script = """
        aisle.track("view", { product: "LAMP/1" });
        const sent = aisle.flush();
        aisle.consent(false);
        await sent;
        await aisle.flush();
    """
    with answering(GUEST, TAKEN) as server:
        in_page(script, server)
    assert [request.path for request in server.received] == ["/auth/guest"]


def test_events_that_failed_are_dropped_when_consent_ends() -> None:
    script = """
        aisle.track("view", { product: "LAMP/1" });
        const sent = aisle.flush();
        await request("/events/batch");
        aisle.consent(false);
        await sent;
        aisle.consent(true);
        aisle.track("view", { product: "VASE" });
        await aisle.flush();
    """
    with answering(GUEST, BUSY, GUEST, TAKEN) as server:
        in_page(script, server)
    batches = [request for request in server.received if request.path == "/events/batch"]
    assert [sku for sku, _user in users_of(batches[-1])] == ["VASE"]


@pytest.mark.parametrize("full", ["", "1"], ids=["storage", "full storage"])
def test_a_refusal_holds_where_the_storage_is_full(full: str) -> None:
    script = """
        aisle.consent(false);
        aisle.track("view", { product: "LAMP/1" });
        await aisle.flush();
        aisle.consent(true);
        aisle.track("view", { product: "VASE" });
        await aisle.flush();
    """
    with answering(GUEST, TAKEN) as server:
        in_page(script, server, FULL=full)
    assert [request.path for request in server.received] == ["/auth/guest", "/events/batch"]
    assert users_of(server.received[1]) == [("VASE", "guest_1")]


def test_an_event_that_is_sent_again_stays_with_its_visitor() -> None:
    script = """
        aisle.identify("ann");
        aisle.track("view", { product: "LAMP/1" });
        const sent = aisle.flush();
        await request("/events/batch");
        aisle.identify("bob");
        await sent;
        aisle.track("view", { product: "VASE" });
        await aisle.flush();
    """
    with answering(BUSY, TAKEN) as server:
        in_page(script, server)
    assert [users_of(request) for request in server.received] == [
        [("LAMP/1", "ann")],
        [("LAMP/1", "ann"), ("VASE", "bob")],
    ]


def test_the_pages_keep_nothing_under_the_names_of_the_script() -> None:
    script = """
        aisle.consent(true);
        aisle.track("view", { product: "LAMP/1" });
        await aisle.flush();
        console.log(JSON.stringify([...stored.keys()]));
    """
    with answering(GUEST, TAKEN) as server:
        names = in_page(script, server)
    assert sorted(names) == ["aisle.consent", "aisle.guest"]
    modules = [path for folder in ("common", "console", "storefront") for path in (ROOT / "web" / folder).rglob("*.js")]
    texts = [path.read_text(encoding="utf-8") for path in modules]
    # a page of the same origin would send the token of its guest as the visitor's id
    assert [name for name in names if any(f'"{name}"' in text for text in texts)] == []
    assert any('"aisle.guest-login"' in text for text in texts)
