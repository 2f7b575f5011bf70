"""One OpenAPI description out of those of all HTTP functions."""

from collections.abc import Mapping
from typing import Any

# every function has these routes; the gateway answers them for all
LEFT_OUT = ("/health", "/health/ready")


def union(documents: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the union of the functions' descriptions (OpenAPI 3.1), by function name.

    Equal components of two functions are shared. Of different components with one name, and of operations with one
    id, the later function's gets the function's name as a prefix. An operation without tags gets the function's name
    as its tag.
    """
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    tags: dict[str, dict[str, str]] = {}
    operation_ids: set[str] = set()
    for name, original in documents.items():
        document = _without_clashes(name, original, components)
        for section, entries in document.get("components", {}).items():
            components.setdefault(section, {}).update(entries)
        tags |= {tag["name"]: tag for tag in document.get("tags", ())}
        for path, methods in document.get("paths", {}).items():
            if path in LEFT_OUT or path in paths:
                continue
            paths[path] = methods
            for operation in methods.values():
                if not isinstance(operation, dict):
                    continue
                if not operation.get("tags"):
                    operation["tags"] = [name]
                    tags[name] = {"name": name, "description": document.get("info", {}).get("description", "")}
                if operation.get("operationId") in operation_ids:
                    operation["operationId"] = f"{name}_{operation['operationId']}"
                operation_ids.add(operation.get("operationId", ""))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Aisle", "version": "1", "description": "Recommendations for an online shop."},
        "paths": paths,
        "components": components,
        "tags": list(tags.values()),
    }


def _without_clashes(name: str, document: dict[str, Any], taken: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a copy of the document in which no component differs from the one of the same name in ``taken``.

    A component that refers to a renamed one differs too, so renaming repeats until nothing clashes.
    """
    renames: dict[str, str] = {}
    while True:
        renamed = _rename(document, renames)
        clashes = {
            f"#/components/{section}/{component}": f"#/components/{section}/{name}_{component}"
            for section, entries in renamed.get("components", {}).items()
            for component, value in entries.items()
            if component in taken.get(section, {}) and taken[section][component] != value
        }
        if not clashes:
            return renamed
        renames |= clashes


def _rename(document: dict[str, Any], renames: Mapping[str, str]) -> dict[str, Any]:
    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: renames.get(value, value) if key == "$ref" else walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(item) for item in node]
        return node

    renamed: dict[str, Any] = walk(document)
    for section, entries in renamed.get("components", {}).items():
        prefix = f"#/components/{section}/"
        renamed["components"][section] = {
            renames.get(prefix + component, prefix + component).removeprefix(prefix): value
            for component, value in entries.items()
        }
    return renamed
