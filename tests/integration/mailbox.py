"""A mailbox: the folder into which the file adapter writes, and the links in its messages."""

import email
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from shared.gates import MAILING
from tests.integration.conftest import settings_of
from tests.integration.people import PUBLIC_URL

SENDER = "Shop <shop@example.com>"


class Mailbox:
    """Every message that was sent, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def messages(self, to: str | None = None) -> list[EmailMessage]:
        """Return the messages, or those to one address, once no message is being sent: an answer may come earlier."""
        deadline = time.monotonic() + 60
        while MAILING.admitted and time.monotonic() < deadline:
            time.sleep(0.01)
        parsed = [
            email.message_from_bytes(file.read_bytes(), policy=default) for file in sorted(self.folder.glob("*.eml"))
        ]
        return [message for message in parsed if to is None or message["To"] == to]  # type: ignore[misc]  # the policy makes EmailMessage

    def token(self, to: str, page: str) -> str:
        """Return the token of the last message to an address, whose link must lead to this page of the shop."""
        (link,) = re.findall(r"^https?://\S+\?\S+", self.messages(to)[-1].get_content(), re.MULTILINE)
        url = urlsplit(link)
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{PUBLIC_URL}{page}"
        return parse_qs(url.query)["token"][0]


@contextmanager
def mailbox_in(folder: Path) -> Iterator[Mailbox]:
    """Let this process write its mails into a folder that the adapter creates."""
    with settings_of({"MAIL_URL": f"file://{folder}", "MAIL_FROM": SENDER, "PUBLIC_URL": os.environ["PUBLIC_URL"]}):
        yield Mailbox(folder)
