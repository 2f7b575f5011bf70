"""Types of Python for schemas of the API."""

from typing import Any

import pytest

from local.clients.python import type_of


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "format": "date-time"}, "str"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "int | None"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Order"}}, "list[m.Order]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "dict[str, float]"),
        ({"type": "object", "additionalProperties": True}, "dict[str, Any]"),
        ({"enum": ["a", "it's"], "type": "string"}, """Literal["a", "it's"]"""),
        ({"const": 7}, "Literal[7]"),
        ({"oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]}, "m.A | m.B"),
        ({}, "Any"),
    ],
)
def test_a_schema_has_its_type(schema: dict[str, Any], kind: str) -> None:
    assert type_of(schema, "m.") == kind
