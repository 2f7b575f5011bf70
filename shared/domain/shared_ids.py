"""User ids that scripts send by mistake, the same for everybody: whoever used one would share carts and orders."""

import re
from typing import Final

# The words that analytics products never merge either, in lower case, and the unset values of common languages.
SHARED_IDS: Final = frozenset(
    {
        # no value
        *("undefined", "null", "(null)", "<null>", "none", "nil", "<nil>", "nan", "nat", "na", "n/a", "<na>", "void"),
        *("empty", "unset", "unknown", "not set", "(not set)", "not_set"),
        # an object or a truth value in the place of an id
        *("[object object]", "[object undefined]", "[object null]", "{}", "[]", "()", "true", "false", "infinity"),
        # a number that counts from nothing, or an error code
        *("0", "0.0", "-1"),
        # everybody who is not logged in, or the name of the field
        *("anonymous", "anon", "guest", "not_authenticated", "not-authenticated", "id"),
        *("user_id", "userid", "user-id", "distinct_id", "distinctid", "email"),
    }
)
# a template that was not filled in: {{ user.id }}, ${userId}, <%= id %>, %USER_ID%
_TEMPLATE: Final = re.compile(r"\{\{.*\}\}|\$\{.*\}|<%.*%>|%\w+%|\{\w+\}", re.DOTALL)
_AROUND: Final = " \t\r\n'\"`"


def is_shared(user_id: str) -> bool:
    """Whether an id is no user's own, with any case, and white space and quotes around it; also if nothing is left."""
    bare = user_id.strip(_AROUND)
    return not bare or bare.casefold() in SHARED_IDS or _TEMPLATE.fullmatch(bare) is not None


def own_id(user_id: str) -> str:
    """Return ``user_id``; raise ValueError if scripts send it for everybody."""
    if is_shared(user_id):
        raise ValueError(
            "must be one user's own id; scripts send this one by mistake for everybody. Send the id of the user who is "
            "logged in, or one of POST /auth/guest"
        )
    return user_id
