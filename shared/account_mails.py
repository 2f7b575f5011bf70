"""The emails that Aisle sends to an account's address, each with a link that only the mailbox's owner gets.

The functions that may return None issue the link themselves, in a separate transaction.
"""

from typing import Final
from urllib.parse import urlsplit

from shared.account_links import LIFETIME_S, REQUEST_PATH, Purpose
from shared.clients.postgres import transaction
from shared.mail import Mail
from shared.settings import settings
from shared.storage.people import account_links, accounts, login_failures

VERIFICATION: Final = """\
Somebody registered this address at {shop}.

If it was you, open this link within {lifetime} to confirm that the address is yours:

{url}

If it was not you, ignore this message. The address then stays unconfirmed.
"""
RESET: Final = """\
Somebody asked for a new password for your account at {shop}.

If it was you, open this link within {lifetime} to set it:

{url}

If it was not you, ignore this message. Your password stays as it is.
"""
PROMOTION: Final = """\
Your account at {shop} now has the role {role}. Its password was removed and every login was ended.

Open this link within {lifetime} to set a new password:

{url}

After that time, request another link at {reset_url}
"""


def _compose(to: str, subject: str, text: str, purpose: Purpose, **values: str) -> Mail:
    shop = urlsplit(settings().require("public_url")).netloc
    hours = LIFETIME_S[purpose] // 3600
    lifetime = "an hour" if hours == 1 else f"{hours} hours"
    return Mail(to, subject.format(shop=shop), text.format(shop=shop, lifetime=lifetime, **values))


def _issue(user_id: str, purpose: Purpose) -> tuple[str, str] | None:
    """Issue a link; return the account's email address and the link's URL, or None if the account no longer exists."""
    with transaction() as connection:
        user = accounts.lock(connection, user_id)
        if user is None or user.email is None:
            return None
        return user.email, account_links.issue(connection, user, purpose)


def verification(user_id: str, client: str) -> Mail | None:
    """Return the message that verifies an account's address.

    None if the address is already verified or was sent too many messages, or if ``client``, the IP address of the
    request, caused too many.
    """
    user = accounts.find(user_id)
    if user is None or user.email is None or user.email_verified_at is not None:
        return None
    if not (login_failures.may_cause_mail(client) and login_failures.may_mail(user.email)):
        return None
    if (issued := _issue(user_id, "verify_email")) is None:
        return None
    email, url = issued
    return _compose(email, "Confirm your address at {shop}", VERIFICATION, "verify_email", url=url)


def password_reset(email: str) -> Mail | None:
    """Return the message that resets the password of the account with this email.

    It is sent to the address as stored in the account, whose form may differ from what was typed
    (shared/domain/text.py). None if there is no such account, or the address was sent too many messages; these are
    counted for any address.
    """
    may_mail = login_failures.may_mail(email)
    user = accounts.find_by_email(email)
    if not may_mail or user is None or (issued := _issue(user.user_id, "reset_password")) is None:
        return None
    to, url = issued
    return _compose(to, "Set a new password at {shop}", RESET, "reset_password", url=url)


def promotion(to: str, role: str, url: str) -> Mail:
    """Return the message that tells an account's owner of a higher role, with the link that sets a password."""
    reset_url = settings().require("public_url") + REQUEST_PATH
    subject = "Your role at {shop}"
    return _compose(to, subject, PROMOTION, "reset_password", url=url, role=role, reset_url=reset_url)
