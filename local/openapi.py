"""One OpenAPI description out of those of all HTTP functions.

python -m local.openapi            write web/docs/openapi.json, which the API reference shows
python -m local.openapi --check    fail if web/docs/openapi.json is out of date
"""

import argparse
import json
import sys
from collections.abc import Collection, Mapping
from copy import deepcopy
from importlib import import_module
from typing import Any, Final

from local.api_examples import stored
from local.places import ROOT
from shared.manifest import manifest

FILE: Final = ROOT / "web/docs/openapi.json"

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
        "servers": [{"url": "/", "description": "The address that serves this description."}],
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


def described(left_out: Collection[str] = ()) -> dict[str, Any]:
    """Return the union of the descriptions of all functions but those that are named, with recorded examples."""
    return stored.add(bare(left_out))


def bare(left_out: Collection[str] = ()) -> dict[str, Any]:
    """Return the union of the descriptions of all functions but those that are named, without examples."""
    return union(
        {
            entry.name: deepcopy(import_module(f"functions.{entry.name}.main").app.openapi())
            for entry in manifest().of_kind("http")
            if entry.name not in left_out
        }
    )


def text() -> str:
    """Return the description of all functions as it is stored: a value on each line, so that changes can be merged."""
    return json.dumps(described(), ensure_ascii=False, indent=0) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the stored description, or return 1 if it is out of date."""
    parser = argparse.ArgumentParser(prog="python -m local.openapi")
    parser.add_argument("--check", action="store_true")
    current = text()
    if parser.parse_args(arguments).check:
        if FILE.read_text(encoding="utf-8") == current:
            return 0
        print(f"{FILE.relative_to(ROOT)} is out of date. Run: python -m local.openapi", file=sys.stderr)
        return 1
    FILE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
