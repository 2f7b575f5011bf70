"""Clients of the functions that people's tests talk to."""

from collections.abc import Callable

import httpx
import pytest

Serve = Callable[[str], httpx.Client]


@pytest.fixture
def accounts(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The accounts function on a clean database."""
    return serve("accounts")
