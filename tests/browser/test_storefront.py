"""The storefront, as shoppers use it: search, product, cart, checkout, and recommendations that follow at once."""

import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from local.places import ROOT
from tests.browser.conftest import PATIENCE_MS, Visitor

playwright_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
)
expect = playwright_api.expect
expect.set_options(timeout=PATIENCE_MS)

Visit = Callable[..., Visitor]
# devices, colours and languages, each in one walk at least
WALKS = [("desktop", "light", "en-GB"), ("phone", "dark", "de-DE")]
LOOKS = [("desktop", "dark"), ("phone", "light")]
ADDRESSES = ("#/", "#/search?q=lantern", "#/product/176", "#/cart", "#/orders", "#/wishlist", "#/account")
AXE = ROOT / "tests/browser/node_modules/axe-core/axe.min.js"
# resolved once no transition runs; one that is cancelled has ended too
TRANSITIONS_END = """Promise.allSettled(
    document.getAnimations().filter((each) => each instanceof CSSTransition).map((each) => each.finished))"""
# what reads the cart, and neither its items nor the checkout
CART = re.compile(r"/cart(\?|$)")
# milliseconds as both languages write them: 84 ms, 1.2 s, 1,2 s
DURATION = re.compile(r"^\d+([.,]\d+)? m?s$")


@pytest.fixture
def product(api: httpx.Client, admin: dict[str, str]) -> Iterator[Callable[..., int]]:
    """Returns a function that adds a product with these fields and returns its id; the products go with the test."""
    added: list[int] = []

    def add(**fields: object) -> int:
        body = {"name": f"Thing {uuid.uuid4().hex}", "price": 1, "quantity": 5} | fields
        answer = api.post("/products", json=body, headers=admin)
        assert answer.status_code == 201, answer.text
        added.append(answer.json()["id"])
        return added[-1]

    yield add
    for product_id in added:
        api.delete(f"/products/{product_id}", headers=admin)


def wait_for_scroll(page: Any, is_there: Callable[[float], bool]) -> None:
    """Wait until the page is scrolled as it should be: the policy of the page forbids Playwright's own way."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not is_there(page.evaluate("scrollY")):
        assert time.monotonic() < deadline, page.evaluate("scrollY")
        page.wait_for_timeout(50)


def names(page: Any, section: str) -> list[str]:
    """Return the products of a list, which has some."""
    shown = page.locator(f"section[aria-labelledby={section}] .card-name")
    shown.first.wait_for()
    return list(shown.all_inner_texts())


def guest_of(page: Any) -> str:
    """Return the id of the guest in a browser."""
    return str(page.evaluate("localStorage.getItem('aisle.guest-id')"))


def panel_of(page: Any) -> Any:
    """Return the panel, which is open on wide screens and opened on narrow ones."""
    if not page.locator("#live").is_visible():
        page.locator(".live-toggle").click()
    return page.locator("#live")


def close_panel(page: Any, device: str) -> None:
    if device == "phone":
        page.locator("#live .live-head button").click()


@pytest.mark.parametrize(("device", "scheme", "language"), WALKS)
def test_a_shopper_s_walk(visit: Visit, api: httpx.Client, device: str, scheme: str, language: str) -> None:
    visitor = visit(device, scheme, language)
    page = visitor.open()
    assert page.locator("html").get_attribute("lang") == language[:2]
    assert page.locator("html").get_attribute("data-theme") == scheme
    expect(page.locator("section[aria-labelledby=trending] .card-name").first).to_be_visible()
    visitor.keep_picture(f"{device}-{scheme}-home-new")

    # a typing error finds what is meant, and suggestions come while typing
    search = page.get_by_role("combobox").first
    search.fill("lant")
    expect(page.locator("#suggestions [role=option]").first).to_be_visible()
    search.fill("lantrn")
    search.press("Enter")
    expect(page.locator(".corrected")).to_contain_text("lantern")
    expect(page.locator(".results .card-name").first).to_be_visible()
    visitor.keep_picture(f"{device}-{scheme}-search")

    # looking at a product takes effect, and the panel says when
    product = page.locator(".results .card-name a").first
    name = product.inner_text()
    product.click()
    expect(page.locator(".product-text h1")).to_have_text(name)
    panel = panel_of(page)
    expect(panel.locator(".latest-title strong")).to_have_text(name)
    expect(panel.locator(".time-main dd")).to_have_text(DURATION)
    expect(panel.locator(".ranking .tag").first).to_be_visible()
    expect(panel.locator(".likings li").first).to_be_visible()
    visitor.keep_picture(f"{device}-{scheme}-panel")
    close_panel(page, device)
    expect(page.locator("section[aria-labelledby=similar] .card-name").first).to_be_visible()
    expect(page.locator("section[aria-labelledby=together] .card-name").first).to_be_visible()
    visitor.keep_picture(f"{device}-{scheme}-product")

    # the first page is the shopper's own now, and says why
    visitor.open("#/")
    expect(page.locator("section[aria-labelledby=recommended] .reason").first).to_contain_text(name)
    assert name in names(page, "viewed")
    assert names(page, "recommended") != names(page, "trending")
    visitor.keep_picture(f"{device}-{scheme}-home-known")

    # cart and checkout
    page.go_back()
    page.locator(".buy .button-main").click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    visitor.open("#/cart")
    page.locator(".line .stepper button").last.click()
    expect(page.locator(".line .stepper output")).to_have_text("2")
    visitor.keep_picture(f"{device}-{scheme}-cart")
    page.locator(".summary .button-main").click()
    expect(page.locator("form .summary-lines li")).to_have_count(1)
    visitor.keep_picture(f"{device}-{scheme}-checkout")
    page.locator("form .button-main").click()
    expect(page.locator(".history li").last).to_be_visible()
    visitor.keep_picture(f"{device}-{scheme}-order")
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_count(0)

    # the shop has the order of this guest, and of nobody else
    guest = guest_of(page)
    orders = api.get("/orders", params={"user_id": guest}).json()["orders"]
    assert [(order["state"], order["item_count"]) for order in orders] == [("paid", 2)]
    stranger = api.post("/auth/guest").json()["user_id"]
    assert api.get("/orders", params={"user_id": stranger}).json()["orders"] == []

    # what was bought is the reason of recommendations, none of them, and among what to buy again
    visitor.open("#/")
    expect(page.locator("section[aria-labelledby=again] .card-name").first).to_have_text(name)
    expect(page.locator("section[aria-labelledby=recommended] .card-name").first).to_be_visible()
    assert name not in names(page, "recommended")
    answer = api.get("/recommendations", params={"user_id": guest, "k": 12, "explain": True}).json()
    assert f"because you bought {name}".lower() in {
        product["reason"]["text"].lower() for product in answer["recommendations"]
    }


def test_a_guest_takes_everything_along_into_an_account(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("#/search?q=lantern")
    card = page.locator(".results .card").first
    name = card.locator(".card-name").inner_text()
    card.locator(".add").click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    card.hover()
    card.locator(".wish").click()
    expect(page.locator(".header [href='#/wishlist'] .badge")).to_have_text("1")
    guest = guest_of(page)

    visitor.open("#/account")
    page.locator("label", has_text="Sign up").click()
    email = f"shopper-{uuid.uuid4().hex}@example.com"
    page.get_by_label("Name").fill(f"shopper-{uuid.uuid4().hex[:12]}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill("a plum in the rain")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_text("What you did as a guest is now in your account")).to_be_visible()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    visitor.open("#/wishlist")
    expect(page.locator(".card-name")).to_have_text(name)
    # the account lasts through a new load of the page
    page.reload()
    expect(page.locator(".card-name")).to_have_text(name)

    visitor.open("#/account")
    expect(page.get_by_text(email)).to_be_visible()
    visitor.keep_picture("desktop-light-account")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_count(0)
    # somebody else at this browser does not find the guest again
    assert page.evaluate("localStorage.getItem('aisle.guest-id')") != guest

    visitor.open("#/account")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill("a plum in the rain")
    page.locator("form.stack .button-main").click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")


def test_shopping_as_a_customer_of_the_data_shows_their_shop(visit: Visit, api: httpx.Client) -> None:
    visitor = visit()
    page = visitor.open()
    expect(page.locator("section[aria-labelledby=recommended]")).to_have_count(0)
    customer = api.get("/web/config.json").json()["shop_as"][0]["id"]
    page.locator("#shop-as").select_option(customer)
    expect(page.get_by_text(f"You are shopping as customer {customer}.")).to_be_visible()
    answer = api.get("/recommendations", params={"user_id": customer, "k": 12, "explain": True}).json()
    links = page.locator("section[aria-labelledby=recommended] .card-name a")
    expect(links.first).to_have_attribute("href", f"#/product/{answer['recommendations'][0]['id']}")
    visitor.keep_picture("desktop-light-customer")
    page.locator(".as-customer").get_by_role("button", name="Shop as yourself again").click()
    expect(page.locator("section[aria-labelledby=recommended]")).to_have_count(0)


def test_a_declined_payment_leaves_the_cart_and_a_way_on(visit: Visit) -> None:
    visitor = visit()
    visitor.expected.append("402 (Payment Required)")
    page = visitor.open("#/search?q=lantern")
    page.locator(".results .add").first.click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    visitor.open("#/checkout")
    page.get_by_label("It declines the payment").check()
    page.locator("form .button-main").click()
    expect(page.get_by_role("alert")).to_contain_text("declined")
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    visitor.keep_picture("desktop-light-declined")
    page.get_by_label("It takes the payment").check()
    page.locator("form .button-main").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()


def put_into_cart(visitor: Visitor, product_id: int) -> Any:
    """Put a product into the empty cart on its page, and return the page."""
    page = visitor.open(f"#/product/{product_id}")
    page.locator(".buy .button-main").click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    return page


def test_a_price_that_changes_meanwhile_is_shown_before_it_is_paid(
    visit: Visit, api: httpx.Client, product: Callable[..., int], admin: dict[str, str]
) -> None:
    bought = product(price=10)
    visitor = visit()
    visitor.expected.append("409 (Conflict)")
    page = put_into_cart(visitor, bought)
    visitor.open("#/checkout")
    expect(page.locator("form .button-main")).to_have_text("Buy for £10.00")
    # the page has read the cart: from here on its total stays
    expect(page.locator("form .button-main")).to_be_enabled()
    assert api.patch(f"/products/{bought}", json={"price": 12}, headers=admin).status_code == 200
    page.locator("form .button-main").click()
    expect(page.get_by_role("alert")).to_contain_text("A price has changed")
    expect(page.locator("form .button-main")).to_have_text("Buy for £12.00")
    visitor.open("#/cart")
    expect(page.locator(".changed")).to_have_text("The price has risen; it was £10.00.")
    visitor.open("#/checkout")
    page.locator("form .button-main").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()


def hold_requests(page: Any, *addresses: re.Pattern[str]) -> list[Any]:
    """Hold the requests that the page sends to these addresses; the list gets their routes."""
    held_routes: list[Any] = []

    def hold(route: Any) -> None:
        held_routes.append(route)

    for address in addresses:
        page.route(address, hold)
    return held_routes


def held_request(page: Any, held_routes: list[Any]) -> Any:
    """Wait until the page has sent a request that a test holds, and return its route."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not held_routes:
        assert time.monotonic() < deadline, "The page did not send its request."
        page.wait_for_timeout(20)
    return held_routes.pop()


def test_a_total_can_be_paid_only_once_the_cart_is_read_anew(
    visit: Visit, api: httpx.Client, product: Callable[..., int], admin: dict[str, str]
) -> None:
    bought = product(price=10)
    visitor = visit()
    visitor.expected.append("500 (Internal Server Error)")
    page = put_into_cart(visitor, bought)
    assert api.patch(f"/products/{bought}", json={"price": 12}, headers=admin).status_code == 200
    held_routes = hold_requests(page, CART)
    visitor.open("#/checkout")
    button = page.locator("form .button-main")
    # what the page knew before
    expect(button).to_have_text("Buy for £10.00")
    expect(button).to_be_disabled()
    held_request(page, held_routes).fulfill(status=500, content_type="application/json", body="{}")
    problem = page.locator("main [role=alert]")
    expect(problem).to_be_visible()
    expect(button).to_be_disabled()
    problem.get_by_role("button").click()
    expect(problem).to_be_hidden()
    expect(button).to_be_disabled()
    held_request(page, held_routes).continue_()
    expect(button).to_have_text("Buy for £12.00")
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()


def test_a_wish_meanwhile_does_not_make_an_old_total_current(
    visit: Visit, api: httpx.Client, product: Callable[..., int], admin: dict[str, str]
) -> None:
    bought = product(price=10)
    visitor = visit()
    page = put_into_cart(visitor, bought)
    assert api.patch(f"/products/{bought}", json={"price": 12}, headers=admin).status_code == 200
    held_routes = hold_requests(page, CART, re.compile(rf"/wishlist/{bought}"))
    page.locator(".wish").first.click()
    wished = held_request(page, held_routes)
    visitor.open("#/checkout")
    read = held_request(page, held_routes)
    wished.continue_()
    expect(page.locator(".header [href='#/wishlist'] .badge")).to_have_text("1")
    read.continue_()
    button = page.locator("form .button-main")
    expect(button).to_be_enabled()
    expect(button).to_have_text("Buy for £12.00")


def test_a_product_shows_its_variants_and_its_old_price(visit: Visit, product: Callable[..., int]) -> None:
    group = uuid.uuid4().hex
    shown = product(name=f"Linen shirt {group}", item_group_id=group, variant_title="Blue", price=20, list_price=25)
    sold_out = product(name=f"Linen shirt {group}", item_group_id=group, variant_title="Red", quantity=0)
    product(name=f"Linen shirt {group}", variant_title="Not of the group")
    visitor = visit()
    page = visitor.open(f"#/product/{shown}")
    expect(page.locator(".product-price .price")).to_have_text("£20.00before £25.00")
    variants = page.locator("nav[aria-label=Variants] a")
    expect(variants).to_have_text(["Blue", "Red, Sold out"])
    variants.last.click()
    expect(page.locator("nav[aria-label=Variants] [aria-current]")).to_have_text("Red, Sold out")
    assert page.url.endswith(f"#/product/{sold_out}")
    expect(page.locator(".buy .button-main")).to_be_disabled()


def test_a_guest_whose_login_has_expired_goes_on_by_the_id(visit: Visit) -> None:
    visitor = visit()
    visitor.expected.append("401 (Unauthorized)")
    page = visitor.open("#/search?q=lantern")
    page.locator(".results .add").first.click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    guest = guest_of(page)
    page.evaluate(
        "localStorage.setItem('aisle.guest-login', JSON.stringify({user_id: 'guest', refresh_token: 'expired'}))"
    )
    page.reload()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    assert guest_of(page) == guest
    visitor.open("#/")
    expect(page.locator("section[aria-labelledby=recommended] .reason").first).to_contain_text("cart")


def test_a_list_that_fails_can_be_read_again(visit: Visit) -> None:
    visitor = visit()
    visitor.expected.append("500 (Internal Server Error)")
    failing = visitor.page
    failing.route("**/trending?*", lambda route: route.fulfill(status=500, content_type="application/json", body="{}"))
    page = visitor.open()
    problem = page.locator("section[aria-labelledby=trending] [role=alert]")
    expect(problem).to_be_visible()
    # the other lists are there all the same
    expect(page.locator("section[aria-labelledby=popular] .card-name").first).to_be_visible()
    failing.unroute("**/trending?*")
    problem.get_by_role("button").click()
    expect(page.locator("section[aria-labelledby=trending] .card-name").first).to_be_visible()


def test_pages_without_anything_lead_on(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    for address in ("#/cart", "#/checkout", "#/orders", "#/wishlist", "#/search?q=qqqxxzzzv", "#/nowhere"):
        visitor.open(address)
        expect(page.locator(".empty a.button-main")).to_have_attribute("href", "#/")


def test_an_unknown_product_leads_on(visit: Visit) -> None:
    visitor = visit()
    visitor.expected.append("404 (Not Found)")
    page = visitor.open("#/product/999999999")
    expect(page.locator(".empty a.button-main")).to_have_attribute("href", "#/")


def test_a_product_named_as_markup_is_text(visit: Visit, product: Callable[..., int]) -> None:
    name = f"</text><script>window.broken = 1</script><img src=x onerror=window.broken=2> {uuid.uuid4().hex}"
    named = product(name=name, description=name, brand=name[:60], tags=["<b>tag</b>"])
    visitor = visit()
    page = visitor.open(f"#/product/{named}")
    expect(page.locator(".product-text h1")).to_have_text(name)
    expect(panel_of(page).locator(".latest-title strong")).to_have_text(name)
    page.locator(".buy .button-main").click()
    expect(page.locator(".toast")).to_contain_text(name)
    visitor.open("#/cart")
    expect(page.locator(".line-name")).to_have_text(name)
    visitor.open(f"#/search?q={name[-32:]}")
    expect(page.locator(".results .card-name")).to_have_text(name)
    assert page.evaluate("window.broken") is None


def test_the_keyboard_suffices(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    expect(page.locator("section[aria-labelledby=trending] .card-name").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    search = page.get_by_role("combobox").first
    search.focus()
    page.keyboard.type("lantern")
    expect(page.locator("#suggestions [role=option]").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#suggestions [aria-selected=true]")
    expect(chosen).to_have_count(1)
    assert search.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Escape")
    expect(page.locator("#suggestions [role=option]")).to_have_count(0)
    page.keyboard.press("Enter")
    # the new page has the focus at its title
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("h1")).to_contain_text("lantern")


def test_searches_come_back_under_the_empty_field(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("#/search?q=lantern")
    expect(page.locator(".results .card-name").first).to_be_visible()
    visitor.open("#/")
    search = page.get_by_role("combobox").first
    search.click()
    expect(page.locator("#suggestions [role=option]")).to_have_text(["lantern"])


def test_filters_and_order_are_in_the_address(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("#/search?q=lantern&sort=price_asc")
    total = page.locator(".results [role=status]")
    expect(total).to_contain_text("product")
    everything = int(re.sub(r"\D", "", total.inner_text().split("product")[0]))
    page.locator(".facets .facet-list a:has-text('£1.00')").first.click()
    expect(page.locator(".chosen .chip")).to_be_visible()
    expect(total).not_to_contain_text(f"{everything} product")
    assert "min_price=1" in page.url
    assert "sort=price_asc" in page.url
    prices = [float(text.strip("£").replace(",", "")) for text in page.locator(".card .price").all_inner_texts()]
    assert prices == sorted(prices)
    page.locator(".chosen .chip").click()
    expect(total).to_contain_text(f"{everything} product")


def test_further_results_of_an_earlier_search_are_not_shown(visit: Visit) -> None:
    page = visit().open("#/search?q=bag")
    expect(page.locator(".results .card").first).to_be_visible()
    earlier: list[Any] = []
    # Playwright cannot call a method of a list
    page.route("**/products?*after=*", lambda route: earlier.append(route))  # noqa: PLW0108
    page.locator(".more button").click()
    expect(page.locator(".more button")).to_be_disabled()
    # the search changes before the next page of the earlier one is here
    page.evaluate("location.hash = '#/search?q=lantern'")
    expect(page.locator(".results h1")).to_contain_text("lantern")
    expect(page.locator(".more button, .results .card").first).to_be_visible()
    expect(page.locator(".results .is-stale")).to_have_count(0)
    before = page.locator(".results .card-name").all_inner_texts()
    with page.expect_response("**/products?*after=*"):
        earlier[0].continue_()
    page.wait_for_timeout(500)
    assert page.locator(".results .card-name").all_inner_texts() == before


def test_going_back_leads_to_where_one_was(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("#/search?q=lantern")
    last = page.locator(".results .card-name a").last
    last.scroll_into_view_if_needed()
    wait_for_scroll(page, lambda top: top > 500)
    before = page.evaluate("scrollY")
    name = last.inner_text()
    last.click()
    expect(page.locator(".product-text h1")).to_have_text(name)
    wait_for_scroll(page, lambda top: top == 0)
    page.go_back()
    wait_for_scroll(page, lambda top: abs(top - before) < 60)
    expect(last).to_be_in_viewport()


def test_language_and_colours_can_be_chosen_and_last(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("#/account")
    expect(page.locator("h1")).to_have_text("Account")
    page.locator("label", has_text="Deutsch").click()
    expect(page.locator("h1")).to_have_text("Konto")
    page.locator("label", has_text="Dunkel").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("h1")).to_have_text("Konto")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.skipif(not AXE.is_file(), reason="npm ci in tests/browser installs the checker of accessibility")
@pytest.mark.parametrize(("device", "scheme"), LOOKS)
def test_no_page_has_a_barrier_that_a_machine_finds(visit: Visit, device: str, scheme: str) -> None:
    visitor = visit(device, scheme)
    page = visitor.page
    rules = AXE.read_text()
    found = []
    visitor.open("#/product/176")
    page.locator(".buy .button-main").click()
    expect(page.locator(".header [href='#/cart'] .badge")).to_have_text("1")
    for address in (*ADDRESSES, "#/checkout"):
        visitor.open(address)
        page.wait_for_load_state("networkidle")
        if address == "#/checkout":
            expect(page.get_by_role("button", name="Buy for")).to_be_enabled()
        # a button that has just been enabled is on its way from one colour to the other
        page.evaluate(TRANSITIONS_END)
        page.evaluate(rules)
        answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            (address, violation["id"], [node["target"] for node in violation["nodes"][:3]])
            for violation in answer["violations"]
        ]
    assert found == []


@pytest.mark.parametrize(("device", "scheme"), LOOKS)
def test_no_page_is_wider_than_the_screen(visit: Visit, device: str, scheme: str) -> None:
    visitor = visit(device, scheme)
    page = visitor.page
    for address in ADDRESSES:
        visitor.open(address)
        page.wait_for_load_state("networkidle")
        visitor.keep_picture(f"{device}-{scheme}-{address.strip('#/').split('?')[0].replace('/', '-') or 'home'}")
        width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], address


def test_the_first_load_is_below_100_kb(visit: Visit, url: str) -> None:
    visitor = visit()
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Network.enable")
    urls: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on("Network.responseReceived", lambda event: urls.update({event["requestId"]: event["response"]["url"]}))
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    visitor.open()
    visitor.page.wait_for_load_state("networkidle")
    of_the_page = {
        address: sizes.get(request, 0)
        for request, address in urls.items()
        if address.removeprefix(url).split("?")[0] == "/" or address.startswith(f"{url}/web/")
    }
    assert len(of_the_page) > 20
    assert sum(of_the_page.values()) < 100_000, of_the_page
