"""Job, on demand: make an account an admin, and return a link that sets its password once.

Only an operator may run it: the link is a way into the account of any address.
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
    """Return the link, and since when the account exists.

    An account that exists loses its password and every session. Raises InvalidRequest for a text that is no address.
    """
    link = first_admin_link(parameters.email)
    return {
        "user_id": link.user_id,
        "existed": link.existed,
        "created_at": link.created_at,
        "email_verified": link.email_verified,
        "url": SecretStr(link.url),
    }
