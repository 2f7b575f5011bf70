"""A message in the format of RFC 5322, for the adapters that need it."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from shared.errors import MailFailed
from shared.mail import Mail
from shared.settings import settings


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
        raise MailFailed("The address cannot stand in a header.") from None
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=domain)
    # no out-of-office replies (RFC 3834)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message
