"""Job, on demand: make an account an admin, and return a link that sets its password once.

Only operators may run it: the link gives access to the account of any address.
"""

from typing import Any

from pydantic import Field, SecretStr

from shared.first_admin import first_admin_link
from shared.job import Parameters, job


class FirstAdmin(Parameters):
    """The address of the admin. Its account is created if there is none."""

    email: str = Field(max_length=1000)


@job
def first_admin(parameters: FirstAdmin) -> dict[str, Any]:
    """Return the link, and when the account was created.

    An existing account loses its password and all sessions. Raises InvalidRequest if the address is not an email
    address.
    """
    link = first_admin_link(parameters.email)
    return {
        "user_id": link.user_id,
        "existed": link.existed,
        "created_at": link.created_at,
        "email_verified": link.email_verified,
        "url": SecretStr(link.url),
    }
