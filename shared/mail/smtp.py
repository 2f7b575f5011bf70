"""Messages by SMTP: `smtps://user@host:465`, or `smtp://user@host:587`, which must offer STARTTLS."""

import smtplib
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

from shared.errors import MailFailed
from shared.mail import Mail
from shared.mail.composing import compose
from shared.settings import settings

PORTS: Final = {"smtp": 587, "smtps": 465}
# a server on the same machine needs no TLS; any other gets neither password nor message without it
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


def deliver(mail: Mail) -> None:
    """Hand a message to the server of MAIL_URL, with MAIL_PASSWORD if the URL names a user."""
    url, timeout_s = urlsplit(settings().require("mail_url")), settings().mail_timeout_s
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    message = compose(mail)
    context = ssl.create_default_context()
    try:
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=context)
            if url.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=timeout_s)
        )
        with server:
            if url.scheme == "smtp" and host not in LOCAL_HOSTS:
                server.starttls(context=context)
            if url.username:
                server.login(unquote(url.username), settings().require("mail_password"))
            server.send_message(message)
    except smtplib.SMTPResponseException as error:
        # the server's text may repeat the address
        raise MailFailed(f"The mail server answered {error.smtp_code}.") from None
    except (OSError, ValueError, smtplib.SMTPException) as error:
        raise MailFailed(f"The mail server of MAIL_URL could not be used: {type(error).__name__}.") from None
