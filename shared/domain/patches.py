"""JSON schemas of partial changes."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel


def without_defaults(schema: dict[str, Any]) -> None:
    """Remove the defaults from the fields of a JSON schema.

    Generated clients send a field's default if the caller did not set it. In a PATCH this would overwrite the stored
    value, so an optional field of a patch has no default, not even null.
    """
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


def all_optional(write: type[BaseModel], title: str, description: str) -> Callable[[dict[str, Any]], None]:
    """Return a ``json_schema_extra`` for a PATCH of what ``write`` stores: its fields, all optional, without defaults.

    Such a patch accepts any subset of fields, since it is validated together with the stored values of the others.
    """

    def extra(schema: dict[str, Any]) -> None:
        schema.update(write.model_json_schema() | {"title": title, "description": description, "required": []})
        without_defaults(schema)

    return extra
