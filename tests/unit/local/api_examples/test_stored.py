"""Every operation with a JSON answer has a recorded example of it and of its commonest errors, as its schemas say."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from local import openapi
from local.api_examples import stored
from local.api_examples.recording import JSON, PROBLEM, Operation, operations_of

DOCUMENT = openapi.bare()
OPERATIONS = operations_of(DOCUMENT)
EXAMPLES = stored.read()
# these answer an unknown user with an empty list, or change nothing; an upload names a product that there is
ALWAYS_FOUND = {"list_search_history", "clear_search_history", "delete_location", "update_profile", "set_image"}


def successes(operation: Operation) -> list[str]:
    """Return the statuses of an operation's answers in JSON."""
    responses = operation.definition["responses"]
    return [status for status, answer in responses.items() if status[0] == "2" and JSON in answer.get("content", {})]


def commonest_errors(name: str, operation: Operation) -> Iterator[int]:
    """Yield the statuses that a developer meets first."""
    if operation.needs_credential:
        yield 401
    if operation.declares(404) and name not in ALWAYS_FOUND:
        yield 404
    if operation.parameters or operation.body_type:
        yield 422


WITH_JSON = [name for name, operation in OPERATIONS.items() if successes(operation)]
# they succeed where Cloud Scheduler is
CLOUD_ONLY = {"pause_job": "503", "resume_job": "503"}


@pytest.mark.parametrize("name", WITH_JSON)
def test_an_operation_has_examples_of_its_answer_and_its_commonest_errors(name: str) -> None:
    operation, answers = OPERATIONS[name], EXAMPLES[name]["answers"]
    assert (set(successes(operation)) | {CLOUD_ONLY.get(name)}) & answers.keys()
    assert {str(status) for status in commonest_errors(name, operation)} - answers.keys() == set()


def errors_of(schema: dict[str, Any], value: Any) -> list[str]:
    """Return what is wrong with a value."""
    whole = schema | {"components": DOCUMENT["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_as_its_schemas_say(name: str) -> None:
    operation, example = OPERATIONS[name], EXAMPLES[name]
    for status, answer in example["answers"].items():
        content = operation.definition["responses"][status]["content"]
        media_type = JSON if status[0] == "2" else PROBLEM
        assert errors_of(content[media_type].get("schema", {}), answer) == [], status
    if isinstance(example.get("body"), dict):
        schema = operation.definition["requestBody"]["content"][JSON]["schema"]
        assert errors_of(schema, example["body"]) == []
    names = {f"{parameter['in']}.{parameter['name']}" for parameter in operation.parameters}
    assert example.get("parameters", {}).keys() <= names


def test_examples_become_parts_of_the_description_and_change_nothing_else() -> None:
    described = stored.add(deepcopy(DOCUMENT))
    answer = described["paths"]["/products/{product_id}"]["get"]["responses"]
    assert answer["200"]["content"][JSON]["example"]["name"] == "Hurricane lantern"
    assert answer["404"]["content"][PROBLEM]["example"]["type"] == "urn:aisle:problem:product-not-found"
    assert without_examples(described) == without_examples(DOCUMENT)


def without_examples(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_examples(value) for key, value in node.items() if key != "example"}
    return [without_examples(value) for value in node] if isinstance(node, list) else node


def test_no_example_has_a_secret_or_a_value_of_one_run() -> None:
    text = stored.FILE.read_text(encoding="utf-8")
    for pattern in (r"eyJ[\w-]+\.", r"[sp]k_[0-9a-f]{12}_\w", r"localhost", r"127\.0\.0\.1", r"link=\w"):
        assert re.findall(pattern, text) == [], pattern
    assert set(re.findall(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)", text)) == {"12:00:00"}


def test_a_difference_is_named_by_operation_and_status() -> None:
    changed = deepcopy(EXAMPLES)
    assert stored.differences(changed) == []
    changed["get_product"]["answers"]["200"]["price"] = "24.90"
    del changed["get_product"]["answers"]["404"]
    # the bystander: another value of the same type
    changed["create_product"]["answers"]["201"]["price"] = 1
    assert stored.differences(changed) == [
        "get_product 200: the answer has other fields than its example",
        "get_product 404: the answer has other fields than its example",
    ]
