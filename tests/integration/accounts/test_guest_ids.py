"""Only an id that cannot be guessed is a credential: guest_1, guest_2 are the shop's own."""

import httpx
import pytest

from shared import clients, tokens
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import bearer
from tests.integration.shop import add_products
from tests.integration.tables import count_rows


@pytest.fixture
def cloud(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUST_SHOP_IDS", "false")
    clients.reset()


@pytest.mark.usefixtures("cloud")
def test_the_id_alone_opens_an_issued_guest_s_data_and_no_look_alike_s(serve: Serve) -> None:
    cart, recommendations = serve("cart"), serve("recommendations")
    issued = serve("accounts").post("/auth/guest").json()["user_id"]
    for user_id, status in ((issued, 200), ("guest_42", 401), (issued[:-1], 401), (issued.upper(), 401)):
        named = {"user_id": user_id}
        assert cart.get("/cart", params=named).status_code == status
        assert cart.get("/orders", params=named).status_code == status
        # the second answer is that of the hot path
        for _ in range(2):
            assert recommendations.get("/recommendations", params=named | {"k": "3"}).status_code == status
    # its own token opens it, as with every id of the shop's own, and opens no neighbour's
    mine = bearer(tokens.issue("guest_42", "guest"))
    assert cart.get("/cart", headers=mine).status_code == 200
    assert cart.get("/cart?user_id=guest_43", headers=mine).status_code == 403


def test_an_erased_id_of_the_shop_s_own_can_return_and_an_issued_one_cannot(
    accounts: httpx.Client, serve: Serve
) -> None:
    add_products(3)
    apply = serve("update_preferences")
    issued = accounts.post("/auth/guest").json()
    deliver(apply, "guest_43", event(2))
    for user_id, headers in (
        ("guest_42", bearer(tokens.issue("guest_42", "guest"))),
        (issued["user_id"], bearer(issued)),
    ):
        deliver(apply, user_id, event(1))
        assert accounts.delete("/users/me", headers=headers).status_code == 204
        deliver(apply, user_id, event(3))
    assert [
        row[0] for row in postgres.read("SELECT external_id FROM users WHERE external_id LIKE 'guest%' ORDER BY 1")
    ] == [
        "guest_42",
        "guest_43",
    ]
    assert count_rows("erased_users", "true") == 1
