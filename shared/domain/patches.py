"""JSON schemas of partial changes."""

from typing import Any


def without_defaults(schema: dict[str, Any]) -> None:
    """Remove the defaults from the fields of a JSON schema.

    Generated clients send a field's default where the caller set nothing. In a PATCH that would overwrite the stored
    value, so an optional field of a change has no default, not even null.
    """
    for field in schema.get("properties", {}).values():
        field.pop("default", None)
