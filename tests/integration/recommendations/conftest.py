"""A shop of twelve products, and the function that recommends them."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import add_products


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The recommendations function over twelve products without a model."""
    add_products(12)
    return serve("recommendations")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prepared statements that run from now on; clear it where a test begins to count."""
    sent: list[str] = []
    run = postgres.run_prepared

    def run_and_note(sql: str, **parameters: Any) -> Any:
        sent.append(sql)
        return run(sql, **parameters)

    monkeypatch.setattr(postgres, "run_prepared", run_and_note)
    return sent
