"""The recorded examples as they are stored, and as parts of the API's description."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from local.api_examples.normalising import is_alike
from local.api_examples.recording import JSON, PROBLEM, as_text, operations_of
from local.places import ROOT

FILE: Final = ROOT / "local/api_examples/recorded.json"
Examples = dict[str, dict[str, Any]]


@cache
def read() -> Examples:
    """Return the stored examples by operation."""
    examples: Examples = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    return examples


def write(examples: Examples) -> None:
    """Store examples."""
    FILE.write_text(as_text(examples), encoding="utf-8")
    read.cache_clear()


def differences(recorded: Examples) -> list[str]:
    """Return a line for each operation and status whose stored example is missing or has other fields."""
    lines = []
    for name in sorted(recorded.keys() | read().keys()):
        answers = [examples.get(name, {}).get("answers", {}) for examples in (recorded, read())]
        lines += [
            f"{name} {status}: the answer has other fields than its example"
            for status in sorted(answers[0].keys() | answers[1].keys())
            if (status in answers[0]) != (status in answers[1]) or not is_alike(*(each.get(status) for each in answers))
        ]
    return lines


def add(document: dict[str, Any]) -> dict[str, Any]:
    """Return the description, to whose operations the stored examples are added."""
    for name, operation in operations_of(document).items():
        example = read().get(name)
        if example is None:
            continue
        for parameter in operation.parameters:
            if (value := example.get("parameters", {}).get(f"{parameter['in']}.{parameter['name']}")) is not None:
                parameter["example"] = value  # type: ignore[index]  # of this document
        if "body" in example and operation.body_type is not None:
            operation.definition["requestBody"]["content"][operation.body_type]["example"] = example["body"]
        _add_answers(operation.definition["responses"], example["answers"])
    return document


def _add_answers(responses: dict[str, Any], answers: Mapping[str, Any]) -> None:
    for status, answer in answers.items():
        content = responses.get(status, {}).get("content", {})
        for media_type in (JSON, PROBLEM):
            if media_type in content:
                content[media_type]["example"] = answer
