"""A message in the format of RFC 5322, for the adapters that need it."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final

from shared.errors import MailFailed
from shared.mail import Mail
from shared.settings import settings

# RFC 5322, 2.1.1
LONGEST_LINE: Final = 998


def compose(mail: Mail) -> EmailMessage:
    """Return the message, from MAIL_FROM. Raises MailFailed for an address that no header can hold."""
    sender = settings().require("mail_from")
    # without it the host's name would be in the id
    domain = sender.rpartition("@")[2].rstrip(">")
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = sender
        local_part, _, host = mail.to.rpartition("@")
        message["To"] = Address(username=local_part, domain=host)
        message["Subject"] = mail.subject
    except ValueError:
        # the error's own text has the address
        raise MailFailed("The address cannot be used in a mail header.") from None
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=domain)
    # no out-of-office replies (RFC 3834)
    message["Auto-Submitted"] = "auto-generated"
    # as it is where SMTP allows that: the default, quoted-printable, breaks a link that is copied from the source
    lines = mail.text.splitlines()
    as_it_is = mail.text.isascii() and max(map(len, lines), default=0) <= LONGEST_LINE
    message.set_content(mail.text, cte="7bit" if as_it_is else None)
    return message
