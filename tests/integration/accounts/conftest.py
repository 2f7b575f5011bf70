"""The accounts function, and the mailbox of tests that read its messages."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Serve
from tests.integration.mailbox import Mailbox, mailbox_in


@pytest.fixture
def accounts(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The accounts function on a clean database."""
    return serve("accounts")


@pytest.fixture
def mails(env: dict[str, str], tmp_path: Path) -> Iterator[Mailbox]:
    """Every message that this process sends during the test."""
    with mailbox_in(tmp_path / "mails") as mailbox:
        yield mailbox
