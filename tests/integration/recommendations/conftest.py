"""A shop of twelve products, and the function that recommends them."""

import httpx
import pytest

from tests.integration.conftest import Serve
from tests.integration.shop import add_products


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The recommendations function over twelve products without a model."""
    add_products(12)
    return serve("recommendations")
