"""Mail behind a port: MAIL_URL chooses who delivers a message. Without it nothing is sent.

| MAIL_URL | adapter |
|---|---|
| `console:`, `file:///folder` | for one machine: standard error, or a file for each message |
| `smtp://`, `smtps://` | a mail server |
| `https://`, on one machine also `http://` | a provider's HTTP API |

Each adapter is imported with the first message, so that no function pays for it before. A message holds a link that
opens an account: neither it nor its address is ever logged.
"""

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Final, Protocol
from urllib.parse import urlsplit

from shared.domain.text import ascii_email
from shared.errors import MailFailed
from shared.settings import settings

ADAPTERS: Final = {
    "console": "console",
    "file": "files",
    "smtp": "smtp",
    "smtps": "smtp",
    "http": "http_api",
    "https": "http_api",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """A message of plain text to one address."""

    to: str
    subject: str
    text: str


class Deliver(Protocol):
    """What each adapter's ``deliver`` does."""

    def __call__(self, mail: Mail) -> None:
        """Hand a message over for delivery. Raises MailFailed if that fails; the error names no address."""


def is_configured() -> bool:
    """Return whether messages can be sent: MAIL_URL is set."""
    return settings().mail_url is not None


def deliver(mail: Mail) -> None:
    """Hand a message to the adapter that MAIL_URL chooses. Raises MailFailed, and MissingSetting without MAIL_URL."""
    scheme = urlsplit(settings().require("mail_url")).scheme
    try:
        address = ascii_email(mail.to)
    except ValueError:
        # the error's own text has the domain
        raise MailFailed("No mail system can deliver to the address: IDNA does not allow its domain.") from None
    adapter = import_module(f"shared.mail.{ADAPTERS[scheme]}")
    adapter.deliver(replace(mail, to=address))
