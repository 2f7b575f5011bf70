"""The check for a missing schema runs while an error is handled, so it must not raise one of its own."""

from typing import Any

import pytest

from shared.errors import AppError, DatabaseUnavailable, MissingSetting, SchemaMissing
from shared.storage.schema import presence


class Refused(Exception):
    """An error of the driver; its text is the SQLSTATE and the server's message."""


def explained(
    monkeypatch: pytest.MonkeyPatch, state: str, message: str, found: tuple[bool, bool] | None
) -> AppError | None:
    """Return the explanation of an error; ``found``: whether the schema is there and readable, None for no answer."""

    def read(_: str) -> list[Any]:
        if found is None:
            raise DatabaseUnavailable("The database does not answer.")
        return [found]

    monkeypatch.setattr(presence, "read_as_login", read)
    monkeypatch.setattr(presence, "sqlstate", lambda error: state if isinstance(error, Refused) else "")
    # a bystander
    assert presence.explanation(ValueError("role")) is None
    return presence.explanation(Refused(message))


NO_ROLE = ("22023", 'role "elsewhere" does not exist')
NO_TABLE = ("42P01", 'relation "products" does not exist')
NO_MEMBER = ("42501", 'permission denied to set role "aisle_jobs"')
NO_RIGHT = ("42501", "permission denied for table products")


@pytest.mark.parametrize("error", [NO_ROLE, NO_TABLE, NO_MEMBER, NO_RIGHT])
def test_without_a_schema_every_such_error_means_that_migrate_has_not_run(
    monkeypatch: pytest.MonkeyPatch, error: tuple[str, str]
) -> None:
    assert isinstance(explained(monkeypatch, *error, (False, False)), SchemaMissing)
    assert explained(monkeypatch, *error, None) is None


@pytest.mark.parametrize(
    ("error", "is_readable", "said"),
    [
        (NO_ROLE, False, "has no role"),
        (NO_TABLE, False, "cannot read the schema"),
        # one table is missing, or one right: a failure of its own
        (NO_TABLE, True, None),
        (NO_MEMBER, False, "may not assume"),
        (NO_MEMBER, True, "may not assume"),
        (NO_RIGHT, False, "cannot read the schema"),
        (NO_RIGHT, True, None),
        # a parameter of another kind
        (("22023", "invalid value for parameter"), True, None),
    ],
)
def test_with_a_schema_it_is_the_role_if_anything(
    monkeypatch: pytest.MonkeyPatch, error: tuple[str, str], is_readable: bool, said: str | None
) -> None:
    found = explained(monkeypatch, *error, (True, is_readable))
    if said is None:
        assert found is None
    else:
        assert isinstance(found, MissingSetting)
        assert said in found.detail
        assert "DATABASE_ROLE" in found.detail
