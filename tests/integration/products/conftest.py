"""A small catalog, and the function that serves it."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver_catalog_change
from tests.integration.people import as_admin
from tests.integration.shop import add_catalog
from tests.integration.tables import table_contents


@pytest.fixture
def shop(env: dict[str, str]) -> dict[str, int]:
    """The catalog in a database of the test's own: ids by ``external_id``."""
    return add_catalog()


@pytest.fixture
def client(shop: dict[str, int], serve: Serve) -> httpx.Client:
    """The products function over the test's own shop."""
    return serve("products")


@pytest.fixture
def admin(client: httpx.Client) -> httpx.Client:
    """The same client with the admin token."""
    return as_admin(client)


@pytest.fixture
def deliver(serve: Serve) -> Callable[..., httpx.Response]:
    """Returns ``deliver(body)``, which delivers a message to refresh_catalog."""
    return partial(deliver_catalog_change, serve("refresh_catalog"))


def catalog_state() -> list[str]:
    """Return everything that an admin write changes: a refused request must leave it unchanged."""
    return table_contents("products", "categories", "audit_log", "outbox", "idempotency_keys")
