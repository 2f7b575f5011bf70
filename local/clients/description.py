"""The API's description as the clients need it: operations with their parameters, and schemas."""

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local.openapi import described

Schema = Mapping[str, Any]

# collect speaks the protocols of other services, whose own libraries call it; the others serve pages
LEFT_OUT: Final = ("collect", "edge", "web")
METHODS: Final = ("get", "post", "put", "patch", "delete")
KEY_HEADER: Final = "Idempotency-Key"
JSON: Final = "application/json"


@dataclass(frozen=True)
class Parameter:
    """A parameter of the path or the query."""

    name: str
    schema: Schema
    required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    """An operation of the API.

    body : the schema of the JSON body; None if it has none.
    media_types : of a body that is a file, else empty.
    answer : the schema of the answer; None if it has no content.
    """

    name: str
    method: str
    path: str
    summary: str
    path_parameters: Sequence[Parameter]
    query_parameters: Sequence[Parameter]
    takes_key: bool
    body: Schema | None
    body_required: bool
    media_types: Sequence[str]
    answer: Schema | None


@dataclass(frozen=True)
class Description:
    """Everything that a client is generated from."""

    operations: Sequence[Operation]
    schemas: Mapping[str, Schema]


def description() -> Description:
    """Return the description of all functions that have clients, with the schemas that their operations use."""
    document = described(LEFT_OUT)
    operations = sorted(_operations(document), key=lambda operation: operation.name)
    schemas = document["components"]["schemas"]
    used = _used(operations, schemas)
    return Description(operations, {name: schemas[name] for name in sorted(schemas) if name in used})


def _operations(document: Schema) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method not in METHODS:
                continue
            success = next(answer for code, answer in operation["responses"].items() if code.startswith("2"))
            answers = success.get("content", {})
            if answers and JSON not in answers:
                # a page for a browser
                continue
            body = operation.get("requestBody", {})
            contents = body.get("content", {})
            parameters = operation.get("parameters", [])
            yield Operation(
                name=operation["operationId"],
                method=method.upper(),
                path=path,
                summary=operation.get("description") or operation["summary"],
                path_parameters=[_parameter(one) for one in parameters if one["in"] == "path"],
                query_parameters=[_parameter(one) for one in parameters if one["in"] == "query"],
                takes_key=any(one["name"] == KEY_HEADER for one in parameters),
                body=contents[JSON]["schema"] if JSON in contents else None,
                body_required=bool(body.get("required")),
                media_types=[] if JSON in contents else sorted(contents),
                answer=answers[JSON].get("schema", {}) if answers else None,
            )


def _parameter(parameter: Schema) -> Parameter:
    return Parameter(
        parameter["name"],
        parameter["schema"],
        bool(parameter.get("required")),
        one_line(parameter.get("description", "")),
    )


def _used(operations: Sequence[Operation], schemas: Mapping[str, Schema]) -> set[str]:
    used: set[str] = set()
    waiting = [
        name
        for operation in operations
        for part in (operation.body, operation.answer, *(one.schema for one in operation.query_parameters))
        for name in referred(part)
    ]
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting.extend(referred(schemas[name]))
    return used


def referred(node: object) -> Iterator[str]:
    """Yield the names of the schemas that a part of the description refers to."""
    if isinstance(node, Mapping):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in node.values():
            yield from referred(value)
    elif isinstance(node, list):
        for value in node:
            yield from referred(value)


def one_line(text: str) -> str:
    """Return a text without line breaks, and without what would end a docstring or a comment."""
    return " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''").replace("*/", "* /")


def camel(name: str) -> str:
    """Return a name of Python's in JavaScript's form: ``get_cart`` is ``getCart``."""
    return re.sub(r"_(\w)", lambda match: match.group(1).upper(), name)


def is_identifier(name: str) -> bool:
    """Whether Python takes the name as one of a field or a parameter."""
    return name.isidentifier() and not keyword.iskeyword(name)
