"""The console, as owners and operators use it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.browser.conftest import PATIENCE_MS, Visitor
from tests.browser.console_pages import (
    Login,
    add_report,
    bury_message,
    create_admin,
    open_console,
    publish_version,
    show,
)

playwright_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
)
expect = playwright_api.expect
expect.set_options(timeout=PATIENCE_MS)

Visit = Callable[..., Visitor]
# a customer of the shipped data
CUSTOMER = "17850"
# how a name would run as a script, if a page took it for HTML
SCRIPT = "<img src=x onerror=window.ran=1><script>window.ran=1</script>"


@pytest.fixture(scope="session")
def owner(home: Path) -> Login:
    """An admin."""
    return create_admin(home)


def table(page: Any, label: str) -> Any:
    """Return the table of this name."""
    return page.get_by_role("region", name=label, exact=True)


@pytest.mark.parametrize(("device", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_an_owner_s_walk(
    visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str], device: str, scheme: str
) -> None:
    visitor = visit(device, scheme)
    page = open_console(visitor, owner)

    # the overview shows what the API says, as a chart and as a table for those who cannot see it
    overview = api.get("/admin/overview", headers=admin).json()
    expect(page.locator(".chart-plot canvas").first).to_be_visible()
    expect(page.get_by_role("heading", name="Revenue by day")).to_be_visible()
    rows = page.locator("section[aria-label='Revenue by day'] .visually-hidden tbody tr")
    assert rows.count() == len(overview["by_day"]) == 30
    expect(
        page.get_by_text(f"Unit: {overview['currency']} per day. Days in {overview['time_zone']}.").first
    ).to_be_visible()
    best = overview["top_products"][0]["product"]
    expect(table(page, "Top products").get_by_role("link").first).to_have_attribute(
        "href", f"#/catalog/products/{best['id']}"
    )
    visitor.keep_picture(f"console-{device}-{scheme}-overview")

    # what a customer is recommended, in the order in which they see it, with the reasons
    answer = api.get("/recommendations", params={"user_id": CUSTOMER}, headers=admin).json()
    show(page, f"/recommendations/preview?user_id={CUSTOMER}")
    links = table(page, "In the answer").get_by_role("link")
    expect(links).to_have_count(len(answer["recommendations"]))
    assert [links.nth(place).get_attribute("href") for place in range(links.count())] == [
        f"#/catalog/products/{product['id']}" for product in answer["recommendations"]
    ]
    page.get_by_role("button", name="Bought already").click()
    expect(table(page, "Not in the answer").get_by_text("Bought already").first).to_be_visible()
    visitor.keep_picture(f"console-{device}-{scheme}-preview")

    # a rule moves a product to the first place
    last = answer["recommendations"][-1]
    show(page, "/recommendations/rules")
    page.get_by_role("button", name="New rule").click()
    editor = page.get_by_role("dialog", name="New rule")
    editor.get_by_text("Pin", exact=True).click()
    editor.get_by_label("Product", exact=True).fill(last["external_id"])
    editor.get_by_label("Note").fill("Our favourite")
    editor.get_by_role("button", name="Which products?").click()
    expect(editor.get_by_text("Selects 1 product")).to_be_visible()
    visitor.keep_picture(f"console-{device}-{scheme}-rule")
    editor.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The rule is saved.")).to_be_visible()
    show(page, f"/recommendations/preview?user_id={CUSTOMER}")
    first = table(page, "In the answer").locator("tbody tr").first
    expect(first.get_by_text("Pinned", exact=True)).to_be_visible()
    expect(first.get_by_text("Our favourite")).to_be_visible()
    show(page, "/recommendations/rules")
    table(page, "Rules").get_by_role("button", name="Delete").last.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The rule was deleted.")).to_be_visible()

    # the catalog: find a product by a text with an error in it, and change its price
    show(page, "/catalog/products?q=lantrn")
    table(page, "Products").get_by_role("link").first.click()
    price = page.get_by_label("Price", exact=True)
    before = float(price.input_value())
    price.fill(str(round(before + 1, 2)))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The product is saved.")).to_be_visible()
    product_id = page.url.rpartition("/")[2]
    assert api.get(f"/products/{product_id}").json()["price"] == pytest.approx(before + 1)
    api.patch(f"/products/{product_id}", json={"price": before}, headers=admin).raise_for_status()

    # it is in the audit log
    show(page, "/audit")
    expect(table(page, "Entries").get_by_text("product.update").first).to_be_visible()


def test_a_file_is_imported_after_a_look_at_how_it_is_read(visit: Visit, owner: Login, api: httpx.Client) -> None:
    visitor = visit()
    page = open_console(visitor, owner, "/catalog/import")
    name = f"console-{uuid4().hex[:8]}"
    content = f"sku,title,price,colour\n{name},A lamp,12.50,red\n{name}x,A shade,minus one,blue\n"
    page.locator("input[type=file]").set_input_files(
        {"name": "catalog.csv", "mimeType": "text/csv", "buffer": content.encode()}
    )
    visitor.expected.append("422")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown column 'colour'")
    page.get_by_label("Columns").fill("tags:colour")
    page.get_by_role("button", name="Preview").click()
    mapping = table(page, "How the columns are read")
    expect(mapping.get_by_text("title", exact=True)).to_be_visible()
    expect(table(page, "Refused rows")).to_contain_text("price")
    assert api.get("/products", params={"external_id": name}).json()["total"] == 0
    visitor.keep_picture("console-import")
    page.get_by_role("button", name="Import 1 product").click()
    expect(page.get_by_text("1 product was created or changed.")).to_be_visible()
    assert api.get("/products", params={"external_id": name}).json()["products"][0]["price"] == 12.5


def test_an_operator_s_walk(visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str], home: Path) -> None:
    visitor = visit()
    page = open_console(visitor, owner, "/operations/health")
    expect(table(page, "Checks").get_by_text("database", exact=True)).to_be_visible()
    visitor.keep_picture("console-operations")

    # a job runs, and its run is listed
    show(page, "/operations/jobs")
    trending = table(page, "Jobs").get_by_role("row").filter(has=page.get_by_text("trending", exact=True))
    trending.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("trending has ended.")).to_be_visible()
    expect(trending.get_by_text("Succeeded").first).to_be_visible()

    # a dead letter is replayed: the event takes effect, and another letter stays
    user_id, other = f"late-{uuid4().hex[:8]}", f"later-{uuid4().hex[:8]}"
    message, left = bury_message(home, user_id), bury_message(home, other)
    show(page, "/operations/dead-letters")
    page.get_by_role("button", name="Refresh").click()
    letters = table(page, "Dead letters")
    row = letters.get_by_role("row").filter(has_text=message)
    expect(row).to_be_visible()
    expect(letters.get_by_role("row").filter(has_text=left)).to_be_visible()
    visitor.keep_picture("console-dead-letters")
    row.get_by_role("button", name="Replay").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(page.get_by_text("1 message was published again.")).to_be_visible()
    expect(row).to_have_count(0)
    expect(letters.get_by_role("row").filter(has_text=left)).to_be_visible()
    for _attempt in range(100):
        viewed = api.get("/recently-viewed", params={"user_id": user_id}, headers=admin).json()
        if viewed["products"]:
            break
        page.wait_for_timeout(100)
    assert [product["id"] for product in viewed["products"]] == [1]
    assert api.get("/recently-viewed", params={"user_id": other}, headers=admin).json()["products"] == []
    api.post(
        "/admin/dead-letters/replay", json={"topic": "user-events", "message_ids": [left]}, headers=admin
    ).raise_for_status()

    # a bad model is rolled back
    before = next(model for model in api.get("/admin/models", headers=admin).json()["models"] if model["active"])
    bad = publish_version(home)
    show(page, "/recommendations/models")
    versions = table(page, "Versions")
    expect(versions.get_by_role("row").filter(has_text="Serving")).to_contain_text(str(bad))
    for version in (before["version"], bad):
        versions.get_by_label(f"Compare version {version}", exact=True).check()
    expect(page.get_by_role("heading", name=f"Versions {before['version']} and {bad}")).to_be_visible()
    visitor.keep_picture("console-models")
    earlier = versions.get_by_role("row").filter(
        has=page.get_by_label(f"Compare version {before['version']}", exact=True)
    )
    earlier.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text(f"Version {before['version']} is serving.")).to_be_visible()
    expect(versions.get_by_role("row").filter(has_text="Serving")).to_contain_text(before["algorithm"])
    active = [model["version"] for model in api.get("/admin/models", headers=admin).json()["models"] if model["active"]]
    assert active == [before["version"]]


def test_a_report_opens_by_a_link_that_is_used_up(visit: Visit, owner: Login, home: Path) -> None:
    add_report(home)
    visitor = visit()
    page = open_console(visitor, owner, "/recommendations/reports")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open report").first.click()
    report = opened.value
    report.wait_for_url("**/report?link=*")
    expect(report.get_by_text("A report")).to_be_visible()
    assert page.request.get(report.url).status == 403


def test_what_people_typed_is_text(visit: Visit, owner: Login, api: httpx.Client, admin: dict[str, str]) -> None:
    # no word of the shop is like it; as HTML it would be an element, and not seen
    missed = "<yyyyqqqq>"
    assert api.get("/products", params={"search": missed}).raise_for_status().json()["total"] == 0
    # `>` would part the path of a category
    category = SCRIPT.replace(">", "")
    product = {"name": SCRIPT, "brand": SCRIPT, "category": category, "price": 3}
    product["external_id"] = f"script-{uuid4().hex[:8]}"
    created = api.post("/products", json=product, headers=admin).raise_for_status().json()
    email = f"{uuid4().hex[:8]}@shop.example"
    person = {"username": f"{SCRIPT[:20]}{uuid4().hex[:4]}", "email": email, "password": "a plum in the rain"}
    registered = api.post("/auth/register", json=person)
    api.post("/events", json={"user_id": SCRIPT, "product_id": created["id"], "event_type": "view"}).raise_for_status()
    visitor = visit()
    page = open_console(visitor, owner)
    # a search counts within seconds
    for _attempt in range(300):
        listed = api.get("/admin/searches", params={"results": 0}, headers=admin).json()["searches"]
        if missed in [search["query"] for search in listed]:
            break
        page.wait_for_timeout(100)
    for address in (
        "/",
        f"/catalog/products/{created['id']}",
        "/catalog/products?q=" + created["external_id"],
        "/recommendations/search",
        f"/recommendations/preview?product_id={created['id']}&k=50",
        "/recommendations/preview?user_id=%3Cscript%3Ewindow.ran%3D1%3C%2Fscript%3E",
        "/recommendations/preview?user_id=%3Cimg%20src%3Dx%20onerror%3Dwindow.ran%3D1%3E",
        "/people",
        "/audit",
        "/operations/rejected",
        "/%3Cscript%3Ewindow.ran%3D1%3C%2Fscript%3E",
    ):
        show(page, address)
        page.wait_for_timeout(200)
        assert page.evaluate("window.ran") is None, address
        # the console shows pictures of products, and nothing that was typed
        assert page.locator('main script, main img:not([src*="/images/"])').count() == 0, address
    show(page, "/catalog/products?q=" + created["external_id"])
    expect(table(page, "Products").get_by_role("link").first).to_have_text(SCRIPT)
    show(page, "/recommendations/search")
    expect(table(page, "What shoppers search for").get_by_text(missed)).to_be_visible()
    if registered.status_code == 201:
        show(page, "/people")
        expect(table(page, "Accounts").get_by_text(person["username"])).to_be_visible()
    api.delete(f"/products/{created['id']}", headers=admin).raise_for_status()


def test_a_login_lives_in_its_tab_and_needs_a_member_of_staff(visit: Visit, owner: Login, api: httpx.Client) -> None:
    visitor = visit()
    visitor.expected.append("401")
    page = visitor.page
    page.goto(f"{visitor.url}/console")
    page.locator("input[name=email]").fill(owner.email)
    page.locator("input[name=password]").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("Email or password is wrong.")
    shopper = {
        "username": f"shopper{uuid4().hex[:6]}",
        "email": f"{uuid4().hex[:8]}@shop.example",
        "password": "a plum in the rain",
    }
    api.post("/auth/register", json=shopper).raise_for_status()
    page.locator("input[name=email]").fill(shopper["email"])
    page.locator("input[name=password]").fill(shopper["password"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("not a member of staff")
    assert page.evaluate("sessionStorage.getItem('aisle.console')") is None

    open_console(visitor, owner)
    assert visitor.context.cookies() == []
    stored = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert "refresh_token" in stored
    assert "eyJ" not in stored
    page.reload()
    expect(page.locator("#page-title")).to_have_text("Overview")
    # another tab has its own session storage, and must log in
    other = visitor.context.new_page()
    other.goto(f"{visitor.url}/console")
    expect(other.locator("input[type=password]")).to_be_visible()
    page.get_by_role("button", name="Log out").first.click()
    expect(page.locator("input[type=password]")).to_be_visible()


def test_the_console_speaks_german_and_is_used_by_keys(visit: Visit, owner: Login) -> None:
    visitor = visit(language="de-DE")
    page = open_console(visitor, owner)
    expect(page.locator("#page-title")).to_have_text("Überblick")
    page.keyboard.press("Tab")
    page.evaluate("document.querySelector('.skip-link').focus()")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator(".side .places a").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page-title")).to_have_text("Betrieb")
    # the title is what a screen reader hears next
    expect(page.locator("#page-title")).to_be_focused()
    visitor.keep_picture("console-german")
