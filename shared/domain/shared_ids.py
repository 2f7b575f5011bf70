"""User ids that faulty scripts send for everybody; all these users would share one cart and order history."""

import re
from typing import Final
from unicodedata import category, normalize

# Lower-case words that analytics products also refuse to merge on, and the unset values of common languages.
SHARED_IDS: Final = frozenset(
    {
        # no value
        *("undefined", "null", "(null)", "<null>", "none", "nil", "<nil>", "nan", "nat", "na", "n/a", "<na>", "void"),
        *("empty", "unset", "unknown", "not set", "(not set)", "not_set"),
        # an object or a truth value in the place of an id
        *("{}", "[]", "()", "true", "false", "infinity"),
        # An initial counter value or an error code.
        *("0", "0.0", "-1"),
        # A UUID that was never set, and an advertising id that its owner has disabled.
        *("00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000"),
        # everybody who is not logged in, or the name of the field
        *("anonymous", "anon", "guest", "not_authenticated", "not-authenticated", "id"),
        *("user_id", "userid", "user-id", "distinct_id", "distinctid", "email"),
    }
)
# A template that was not filled in: {{ user.id }}, ${userId}, <%= id %>, %USER_ID%.
_TEMPLATE: Final = re.compile(r"\{\{.*\}\}|\$\{.*\}|<%.*%>|%\w+%|\{\w+\}", re.DOTALL)
# The string form of a JavaScript object (a Promise, an element) or function.
_OBJECT: Final = re.compile(r"\[object \w+\]|(?:async )?(?:function\b|class\b|\(.*\) *=>).*[})]", re.DOTALL)
# A list or composite of which no part is set: undefined,undefined and null_null.
_UNSET_PARTS: Final = re.compile(r"(?:undefined|null|none|nan)(?:[,;:|/._ -]+(?:undefined|null|none|nan))+")
_AROUND: Final = " \t\r\n'\"`"


def _bare(user_id: str) -> str:
    """Return the id for comparison: NFKC, case-folded, without invisible characters, outer white space and quotes."""
    if not user_id.isascii():
        visible = (" " if category(c) == "Zs" else c for c in user_id if category(c) not in ("Cf", "Zl", "Zp"))
        user_id = normalize("NFKC", "".join(visible))
    return user_id.strip(_AROUND).casefold()


def is_shared(user_id: str) -> bool:
    """Return whether an id is no single user's own, ignoring case, outer white space and quotes. True if empty."""
    bare = _bare(user_id)
    return (
        not bare
        or bare in SHARED_IDS
        or any(form.fullmatch(bare) is not None for form in (_TEMPLATE, _OBJECT, _UNSET_PARTS))
    )


def own_id(user_id: str) -> str:
    """Return ``user_id``; raise ValueError if it is a shared id."""
    if is_shared(user_id):
        raise ValueError(
            "must be the id of a single user; scripts send this value by mistake for every user. Send the id of the "
            "logged-in user, or one from POST /auth/guest"
        )
    return user_id
