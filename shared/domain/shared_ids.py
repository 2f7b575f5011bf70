"""User ids that scripts send by mistake, the same for everybody: their users would share carts and orders."""

import re
from typing import Final
from unicodedata import category, normalize

# The words that analytics products never merge either, in lower case, and the unset values of common languages.
SHARED_IDS: Final = frozenset(
    {
        # no value
        *("undefined", "null", "(null)", "<null>", "none", "nil", "<nil>", "nan", "nat", "na", "n/a", "<na>", "void"),
        *("empty", "unset", "unknown", "not set", "(not set)", "not_set"),
        # an object or a truth value in the place of an id
        *("{}", "[]", "()", "true", "false", "infinity"),
        # a number that counts from nothing, or an error code
        *("0", "0.0", "-1"),
        # a UUID that was never set, and an advertising id that its owner switched off
        *("00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000"),
        # everybody who is not logged in, or the name of the field
        *("anonymous", "anon", "guest", "not_authenticated", "not-authenticated", "id"),
        *("user_id", "userid", "user-id", "distinct_id", "distinctid", "email"),
    }
)
# a template that was not filled in: {{ user.id }}, ${userId}, <%= id %>, %USER_ID%
_TEMPLATE: Final = re.compile(r"\{\{.*\}\}|\$\{.*\}|<%.*%>|%\w+%|\{\w+\}", re.DOTALL)
# what JavaScript writes for an object (a Promise, an element) and for a function
_OBJECT: Final = re.compile(r"\[object \w+\]|(?:async )?(?:function\b|class\b|\(.*\) *=>).*[})]", re.DOTALL)
# a list, or two parts, of which none is set: undefined,undefined and null_null
_UNSET_PARTS: Final = re.compile(r"(?:undefined|null|none|nan)(?:[,;:|/._ -]+(?:undefined|null|none|nan))+")
_AROUND: Final = " \t\r\n'\"`"


def _bare(user_id: str) -> str:
    """Return the id as a reader sees it: in compatibility form, without invisible characters and what is around it."""
    if not user_id.isascii():
        visible = (" " if category(c) == "Zs" else c for c in user_id if category(c) not in ("Cf", "Zl", "Zp"))
        user_id = normalize("NFKC", "".join(visible))
    return user_id.strip(_AROUND).casefold()


def is_shared(user_id: str) -> bool:
    """Whether an id is no single user's own, ignoring case, outer white space and quotes. An empty id is shared too."""
    bare = _bare(user_id)
    return (
        not bare
        or bare in SHARED_IDS
        or any(form.fullmatch(bare) is not None for form in (_TEMPLATE, _OBJECT, _UNSET_PARTS))
    )


def own_id(user_id: str) -> str:
    """Return ``user_id``; raise ValueError if scripts send it for everybody."""
    if is_shared(user_id):
        raise ValueError(
            "must be the id of a single user; scripts send this value by mistake for every user. Send the id of the "
            "logged-in user, or one from POST /auth/guest"
        )
    return user_id
