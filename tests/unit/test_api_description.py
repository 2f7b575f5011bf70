"""The OpenAPI description of all functions is what client libraries are generated from: classes, methods and texts."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from local import openapi
from local.openapi import union
from local.places import ROOT
from shared.manifest import manifest

VERBS = {
    "activate",
    "add",
    "assign",
    "cancel",
    "change",
    "check",
    "clear",
    "create",
    "delete",
    "empty",
    "erase",
    "export",
    "flush",
    "get",
    "import",
    "list",
    "log",
    "pause",
    "record",
    "refresh",
    "register",
    "remove",
    "replay",
    "request",
    "resume",
    "run",
    "send",
    "set",
    "update",
    "verify",
}
# verbs, participles and adverbs that were names of classes once
RIDDLES = {
    "Given",
    "Login",
    "Refresh",
    "Register",
    "Replay",
    "Shown",
    "Taken",
    "Together",
    "ChangePassword",
    "ChangeProfile",
    "ChangedRule",
}
HTTP_METHODS = "get|post|put|patch|delete"
NAMES = [entry.name for entry in manifest().of_kind("http")]
DOCUMENTS = {name: import_module(f"functions.{name}.main").app.openapi() for name in NAMES}
UNION = union(DOCUMENTS)


def test_the_description_is_valid() -> None:
    validate(UNION)


def test_the_stored_description_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert openapi.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stored_description_that_is_out_of_date_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openapi, "ROOT", tmp_path)
    monkeypatch.setattr(openapi, "FILE", tmp_path / "openapi.json")
    (tmp_path / "openapi.json").write_text("{}")
    assert openapi.main(["--check"]) == 1
    assert "python -m local.openapi" in capsys.readouterr().err
    assert openapi.main([]) == openapi.main(["--check"]) == 0


def patch_bodies() -> list[tuple[str, dict[str, Any]]]:
    """The schema of each body of a PATCH, with those that it refers to."""
    return [
        (f"{path} {media_type}", media["schema"])
        for path, methods in UNION["paths"].items()
        if "patch" in methods
        for media_type, media in methods["patch"].get("requestBody", {}).get("content", {}).items()
    ]


def defaults(schema: Any) -> Iterator[str]:
    """Every place of a default in a schema and the components that it refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield from defaults(UNION["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        for name, value in schema.items():
            if name == "default":
                yield str(schema.get("title"))
            yield from defaults(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from defaults(value)


def test_no_patch_has_a_default_that_a_generated_client_would_send() -> None:
    bodies = patch_bodies()
    assert len(bodies) >= 8
    assert {name: found for name, schema in bodies if (found := list(defaults(schema)))} == {}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation of a union and of the health routes, which the union leaves out."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation
    for path in ("/health", "/health/ready"):
        yield f"get {path}", DOCUMENTS[NAMES[0]]["paths"][path]["get"]


OPERATIONS = dict(operations(UNION))
SCHEMAS: dict[str, dict[str, Any]] = UNION["components"]["schemas"]


def is_prose(text: object) -> bool:
    """Whether a text is one or more sentences without reStructuredText, which no client renders."""
    return (
        isinstance(text, str)
        and re.match(r"[A-Z0-9`]", text) is not None
        and text.rstrip()[-1] in ".:`"
        and ("``" not in text)
    )


def test_operation_ids_are_unique_and_the_same_in_every_function() -> None:
    ids = [operation["operationId"] for _route, operation in operations(UNION)]
    assert sorted(ids) == sorted(set(ids))
    for document in DOCUMENTS.values():
        assert document["paths"]["/health"]["get"]["operationId"] == "get_health"
        assert document["paths"]["/health/ready"]["get"]["operationId"] == "get_readiness"


@pytest.mark.parametrize("route", OPERATIONS)
def test_an_operation_is_named_by_a_verb_and_a_noun(route: str) -> None:
    name = OPERATIONS[route]["operationId"]
    verb, _, noun = name.partition("_")
    assert verb in VERBS, name
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", noun), name
    assert not re.search(f"_({HTTP_METHODS})$", name), name


@pytest.mark.parametrize("route", OPERATIONS)
def test_an_operation_and_its_parameters_are_described_and_it_has_a_tag(route: str) -> None:
    operation = OPERATIONS[route]
    assert is_prose(operation["description"]), operation["description"]
    assert len(operation["tags"]) == 1
    for parameter in operation.get("parameters", ()):
        text = parameter.get("description", parameter["schema"].get("description"))
        assert is_prose(text), (parameter["name"], text)


def test_every_tag_is_described() -> None:
    described = {tag["name"] for tag in UNION["tags"] if is_prose(tag["description"])}
    assert {tag for route, operation in OPERATIONS.items() if "/health" not in route for tag in operation["tags"]} == (
        described
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_named_by_a_noun_and_its_fields_are_described(name: str) -> None:
    schema = SCHEMAS[name]
    assert re.fullmatch(r"[A-Z][A-Za-z]+", name), name
    assert name not in RIDDLES
    # a participle alone is no noun
    assert not re.fullmatch(r"[A-Z][a-z]+(ed|en)", name)
    assert is_prose(schema["description"]), schema["description"]
    for field, definition in schema.get("properties", {}).items():
        assert is_prose(definition.get("description")), (field, definition.get("description"))


@pytest.mark.parametrize("name", NAMES)
def test_every_route_lies_below_a_path_of_its_entry(name: str) -> None:
    paths = manifest().entries[name].paths
    routes = [route for route in DOCUMENTS[name]["paths"] if not route.startswith("/health")]
    assert [route for route in routes if not any(f"{route}/".startswith(f"{path}/") for path in paths)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_function_s_main_only_puts_its_resources_together(name: str) -> None:
    package = ROOT / "functions" / name
    # a function of many resources has a package, with one module of models for each
    assert (package / "schemas.py").is_file() or (package / "schemas" / "__init__.py").is_file()
    tree = ast.parse((package / "main.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for module in package.glob("*.py"):
        if module.name not in ("schemas.py", "__init__.py"):
            assert "(BaseModel)" not in module.read_text(), module


# paths of other services' protocols, and the names of jobs and calls, which are known
FREE_TEXT_IN_PATHS = {"project", "location", "catalog", "call", "name"}


def test_no_path_has_an_id_that_may_be_any_text() -> None:
    # "." and ".." are dropped from paths, and a slash ends an id: docs/decisions/0075-ids-in-queries.md
    free = {
        parameter["name"]
        for operation in OPERATIONS.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "path"
        and parameter["schema"]["type"] == "string"
        and not {"pattern", "format", "enum"} & parameter["schema"].keys()
    }
    assert free == FREE_TEXT_IN_PATHS
