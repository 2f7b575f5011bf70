"""What a configuration refers to, and so what Terraform creates first, read from the configuration in a plan's JSON."""

from collections.abc import Iterator
from typing import Any


class Graph:
    """The resources of a configuration, without their keys, and what each refers to or depends on.

    References by way of a ``local`` are absent from Terraform's JSON and therefore from here: a resource that must wait
    says so by ``depends_on``.
    """

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.root = configuration["root_module"]
        self.calls: dict[str, Any] = self.root.get("module_calls", {})
        self.resources = {resource["address"]: resource for resource in self.root["resources"]}
        self._edges = {
            address: self._known(set(resource.get("depends_on", ())) | set(references(resource.get("expressions"))))
            for address, resource in self.resources.items()
        }
        for name, call in self.calls.items():
            self._add_module(name, call)

    def _add_module(self, name: str, call: dict[str, Any]) -> None:
        arguments = {key: set(references(value)) for key, value in call.get("expressions", {}).items()}
        awaited = set(call.get("depends_on", ()))
        own = {resource["address"] for resource in call["module"]["resources"]}
        for resource in call["module"]["resources"]:
            address = f"module.{name}.{resource['address']}"
            edges = self._known(awaited)
            for place in ("expressions", "for_each_expression", "count_expression"):
                for reference in references(resource.get(place)):
                    if reference.startswith("var."):
                        edges |= self._known(arguments.get(reference.split(".")[1], set()))
            inner = set(resource.get("depends_on", ())) | set(references(resource.get("expressions")))
            edges |= {f"module.{name}.{one}" for one in (base(reference) for reference in inner) if one in own}
            self.resources[address] = resource
            self._edges[address] = edges
        # whatever refers to the module may mean any of its resources
        self._edges[f"module.{name}"] = {f"module.{name}.{address}" for address in own}

    def _known(self, found: set[str]) -> set[str]:
        return {
            base(reference) for reference in found if not reference.startswith(("local.", "var.", "each.", "count."))
        }

    def awaits(self, address: str) -> set[str]:
        """Return every resource that is created before this one."""
        seen: set[str] = set()
        waiting = list(self._edges.get(address, ()))
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += self._edges.get(one, ())
        return seen

    def refers(self, address: str, *path: str) -> list[str]:
        """Return the references in an argument of a resource; ``path`` leads through its blocks."""
        value: Any = self.resources[address]["expressions"]
        for name in path:
            while isinstance(value, list):
                value = value[0]
            value = value.get(name, {})
        return list(references(value))


def base(reference: str) -> str:
    """Return the resource or module that a reference begins with."""
    parts = reference.split("[")[0].split(".")
    return ".".join(parts[:3] if parts[0] == "data" else parts[:2])


def references(value: Any) -> Iterator[str]:
    """Yield every reference within an expression of Terraform's JSON."""
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "references":
                yield from inner
            elif name != "constant_value":
                yield from references(inner)
