"""The API reference, as developers use it: find an operation, read its examples, and try it on the running shop."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import PATIENCE_MS, Visitor
from tests.browser.test_storefront import AXE

playwright_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
)
expect = playwright_api.expect
expect.set_options(timeout=PATIENCE_MS)

Visit = Callable[..., Visitor]
LOOKS = [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]


def open_operation(visitor: Visitor, name: str) -> Any:
    """Open the page at an operation, and return its element."""
    visitor.open(f"docs#{name}")
    operation = visitor.page.locator(f"#{name}")
    expect(operation.locator(".body")).to_be_visible()
    return operation


@pytest.mark.parametrize(("device", "scheme"), LOOKS)
def test_an_operation_is_found_read_and_tried(visit: Visit, device: str, scheme: str) -> None:
    visitor = visit(device, scheme)
    page = visitor.open("docs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Aisle API")
    page.get_by_label("Filter").fill("list_products")
    operation = page.locator("#list_products")
    expect(page.locator(".operation")).to_have_count(1)
    operation.locator("summary").first.click()
    # what was recorded: a search with a typing error, and the answer
    expect(operation).to_contain_text("Hurricane lantern")
    expect(operation).to_contain_text("Optional credential: a user's token, or an API key.")
    operation.locator('[name="query.search"]').fill("lantren")
    operation.locator('[name="query.page_size"]').fill("1")
    operation.get_by_role("button", name="Send").click()
    answer = operation.get_by_role("status")
    expect(answer.locator(".status")).to_have_text("200")
    expect(answer.locator("pre")).to_contain_text('"products"')
    visitor.keep_picture(f"docs-tried-{device}-{scheme}")


def test_a_problem_is_shown_as_one_and_a_credential_is_sent(visit: Visit, admin: dict[str, str]) -> None:
    visitor = visit()
    visitor.expected.append("401")
    operation = open_operation(visitor, "get_shop")
    expect(operation).to_contain_text("Needs a token of staff.")
    operation.get_by_text("Authentication required").click()
    expect(operation.locator(".example pre")).to_contain_text("urn:aisle:problem:unauthorized")
    send = operation.get_by_role("button", name="Send")
    send.click()
    expect(operation.locator(".try .status")).to_have_text("401")
    visitor.page.get_by_label("Token for trying").fill(admin["Authorization"].removeprefix("Bearer "))
    send.click()
    expect(operation.locator(".try .status")).to_have_text("200")
    # the command beside it is what was sent
    expect(operation.locator(".try > pre")).to_contain_text("Authorization: Bearer ")


def test_a_form_begins_with_the_example(visit: Visit) -> None:
    operation = open_operation(visit(), "record_event")
    assert '"external_id": "LAN-1"' in operation.locator("textarea").input_value()
    operation = open_operation(visit(), "get_product")
    assert operation.locator('[name="path.product_id"]').input_value() == "1"


@pytest.mark.parametrize(("device", "scheme"), LOOKS)
@pytest.mark.skipif(not AXE.is_file(), reason="npm ci in tests/browser installs axe-core")
def test_the_reference_is_accessible(visit: Visit, device: str, scheme: str) -> None:
    visitor = visit(device, scheme)
    open_operation(visitor, "get_recommendations")
    visitor.page.evaluate(AXE.read_text())
    report = visitor.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(found["id"], found["nodes"][0]["html"][:200]) for found in report["violations"]] == []
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visitor.keep_picture(f"docs-{device}-{scheme}")


def test_a_name_that_no_operation_has_says_so(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("docs")
    page.get_by_label("Filter").fill("<script>alert(1)</script>")
    expect(page.get_by_role("status").first).to_contain_text("0 of")
