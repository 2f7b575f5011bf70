"""One OpenAPI description out of several."""

from collections.abc import Mapping
from typing import Any

# each function has its own; the gateway's answer for all
LEFT_OUT = ("/health", "/health/ready")


def union(documents: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the union of the functions' descriptions (OpenAPI 3.1), by function name.

    A component that two functions define alike is shared; one that they define differently is renamed after its
    function, as are operation ids that would not be unique.
    """
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    tags: list[dict[str, str]] = []
    operations: set[str] = set()
    for name, own in documents.items():
        document = _renamed(name, own, components)
        for section, found in document.get("components", {}).items():
            components.setdefault(section, {}).update(found)
        tags.append({"name": name, "description": document.get("info", {}).get("description", "")})
        for path, methods in document.get("paths", {}).items():
            if path in LEFT_OUT or path in paths:
                continue
            paths[path] = methods
            for operation in methods.values():
                if isinstance(operation, dict):
                    operation["tags"] = [name]
                    if operation.get("operationId") in operations:
                        operation["operationId"] = f"{name}_{operation['operationId']}"
                    operations.add(operation.get("operationId", ""))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Aisle", "version": "1", "description": "Recommendations for an online shop."},
        "paths": paths,
        "components": components,
        "tags": tags,
    }


def _renamed(name: str, document: dict[str, Any], taken: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the document with components renamed that differ from one of the same name.

    What refers to a renamed component differs with it, so this repeats until nothing new does.
    """
    renames: dict[str, str] = {}
    while True:
        changed = _rewrite(document, renames)
        clashes = {
            f"#/components/{section}/{old}": f"#/components/{section}/{name}_{old}"
            for section, found in changed.get("components", {}).items()
            for old, value in found.items()
            if old in taken.get(section, {}) and taken[section][old] != value
        }
        if not clashes:
            return changed
        renames |= clashes


def _rewrite(document: dict[str, Any], renames: Mapping[str, str]) -> dict[str, Any]:
    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: renames.get(value, value) if key == "$ref" else walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(one) for one in node]
        return node

    rewritten: dict[str, Any] = walk(document)
    for section, found in rewritten.get("components", {}).items():
        prefix = f"#/components/{section}/"
        rewritten["components"][section] = {
            renames.get(prefix + old, prefix + old).removeprefix(prefix): value for old, value in found.items()
        }
    return rewritten
