"""The check for a missing schema runs while an error is handled, so it must not raise one of its own."""

from typing import Any

import pytest

from shared.errors import DatabaseUnavailable
from shared.storage.schema import presence


class Undefined(Exception):
    """An error of the driver."""


@pytest.mark.parametrize(("is_absent", "expected"), [(True, True), (False, False), (None, False)])
def test_a_missing_table_is_explained_by_a_schema_that_is_known_to_be_absent(
    monkeypatch: pytest.MonkeyPatch, is_absent: bool | None, expected: bool
) -> None:
    def read(_: str) -> list[Any]:
        if is_absent is None:
            raise DatabaseUnavailable("The database does not answer.")
        return [[is_absent]]

    monkeypatch.setattr(presence, "read", read)
    monkeypatch.setattr(presence, "sqlstate", lambda error: "42P01" if isinstance(error, Undefined) else None)
    assert presence.explains(Undefined()) is expected
    # a bystander
    assert presence.explains(ValueError()) is False
