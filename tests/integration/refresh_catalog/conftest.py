"""The catalog of the tests of products, and deliveries to refresh_catalog."""

from tests.integration.products.conftest import client, deliver, shop

__all__ = ["client", "deliver", "shop"]
