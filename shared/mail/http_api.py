"""Messages by a provider's HTTP API: a POST of JSON with `from`, `to`, `subject` and `text`.

This is the form of Resend's API (https://resend.com/docs/api-reference/emails/send-email). MAIL_PASSWORD is the API
key, sent as a bearer token. A redirect is not followed: the token would go to another server.
"""

import http.client
from urllib.parse import urlsplit

import orjson

from shared.errors import MailFailed
from shared.mail import Mail
from shared.settings import settings


def deliver(mail: Mail) -> None:
    """Hand a message to the API of MAIL_URL."""
    config = settings()
    url = urlsplit(config.require("mail_url"))
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    body = {"from": config.require("mail_from"), "to": [mail.to], "subject": mail.subject, "text": mail.text}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {config.require('mail_password')}"}
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection = kind(url.hostname or "", url.port, timeout=config.mail_timeout_s)
        try:
            connection.request("POST", target, orjson.dumps(body), headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise MailFailed(f"The mail provider could not be reached: {type(error).__name__}.") from None
    if not 200 <= status < 300:
        raise MailFailed(f"The mail provider answered {status}.")
