"""The accounts function."""

import httpx
import pytest

from tests.integration.conftest import Serve


@pytest.fixture
def accounts(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The accounts function on a clean database."""
    return serve("accounts")
