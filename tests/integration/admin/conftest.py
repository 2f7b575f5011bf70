"""The admin function, and what its writes change."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres, redis_sync
from shared.storage.answers import protocol
from tests.integration.conftest import Serve
from tests.integration.people import as_admin


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The admin function on a clean database; every request carries the admin token."""
    return as_admin(serve("admin"))


def audited() -> list[tuple[Any, ...]]:
    """Return the audit log, oldest entry first: actor, action, subject, and the state before and after."""
    rows = postgres.read("SELECT actor, action, subject, before, after FROM audit_log ORDER BY id")
    return [tuple(row) for row in rows]


def epochs() -> dict[bytes, bytes]:
    """Return the epoch of each scope of stored answers."""
    by_scope: dict[bytes, bytes] = redis_sync.client().hgetall(protocol.EPOCHS)
    return by_scope
