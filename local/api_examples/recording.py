"""Sends the requests of a scenario to a running system, and keeps them with their answers as examples."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from local.api_examples.normalising import REQUEST_ID, Normaliser
from local.errors import CommandError

# a change that follows an event, on a machine that does other things too
PATIENCE_S: Final = 60.0
TIMEOUT_S: Final = 120.0
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
# a parameter that no operation knows
UNKNOWN: Final = {"colour": "red"}


@dataclass(frozen=True)
class Operation:
    """An operation of the description."""

    method: str
    path: str
    definition: Mapping[str, Any]

    @property
    def needs_credential(self) -> bool:
        """Whether it answers no request without a credential."""
        choices = self.definition.get("security", ())
        return bool(choices) and {} not in choices

    def declares(self, status: int) -> bool:
        """Whether the description has an answer with this status."""
        return str(status) in self.definition["responses"]

    @property
    def body_type(self) -> str | None:
        """The first media type of its body; None if it takes none."""
        return next(iter(self.definition.get("requestBody", {}).get("content", {})), None)

    @property
    def parameters(self) -> list[Mapping[str, Any]]:
        """Its parameters."""
        return list(self.definition.get("parameters", ()))


def operations_of(document: Mapping[str, Any]) -> dict[str, Operation]:
    """Return the operations of a description by their ids."""
    return {
        definition.get("operationId", f"{method} {path}"): Operation(method, path, definition)
        for path, methods in document["paths"].items()
        for method, definition in methods.items()
        if isinstance(definition, dict)
    }


@dataclass
class Recorder:
    """A client of a running system that keeps what it sends and gets."""

    url: str
    operations: Mapping[str, Operation]
    schemas: Mapping[str, Any]
    credentials: dict[str, Mapping[str, str]] = field(default_factory=dict)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC)
        self.normaliser = Normaliser(self.now)
        self.client = httpx.Client(base_url=self.url, timeout=TIMEOUT_S, headers={"X-Request-ID": REQUEST_ID})

    def call(
        self,
        name: str,
        *,
        by: str = "",
        path: Mapping[str, object] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: str | None = None,
        headers: Mapping[str, str] | None = None,
        unknown: Mapping[str, Mapping[str, object]] | None = None,
    ) -> Any:
        """Send a request that succeeds, and before it those that show the commonest errors; return the JSON answer.

        ``by`` names the credential. ``unknown`` has the parts of the request (``path``, ``query``, ``body``) that
        name something that does not exist. Raises CommandError if an answer is another one than expected.
        """
        operation = self.operations[name]
        request = {"path": path or {}, "query": query or {}, "body": body}
        sender = self.credentials.get(by, {})
        more = dict(headers or {})
        if content is not None:
            more["Content-Type"] = operation.body_type or JSON

        def send(credential: Mapping[str, str], changed: Mapping[str, Any]) -> httpx.Response:
            parts = {**request, **changed}
            target = operation.path
            for key, value in parts["path"].items():
                target = target.replace("{" + key + "}", str(value))
            sent = {"content": content} if content is not None else {"json": parts["body"]}
            return self.client.request(
                operation.method.upper(),
                target,
                params=parts["query"],
                headers={**credential, **more},
                **(sent if content is not None or parts["body"] is not None else {}),
            )

        if operation.needs_credential:
            self._keep_problem(name, 401, send({}, {}))
        if operation.parameters or operation.body_type:
            self._keep_problem(name, 422, send(sender, self._invalid(operation, request)))
        if unknown is not None:
            changed = {part: {**request[part], **values} for part, values in unknown.items()}
            self._keep_problem(name, 404, send(sender, changed))
        answer = send(sender, {})
        if not answer.is_success:
            raise CommandError(f"{name}: {answer.status_code} {answer.text[:500]}")
        is_json = answer.headers.get("content-type", "").startswith(JSON)
        self._keep(name, request, content, answer.status_code, answer.json() if is_json else None)
        return answer.json() if is_json else answer.text

    def _invalid(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the change of a request that makes it invalid: a body without its fields, or an unknown parameter."""
        if isinstance(request["body"], dict) and operation.definition["requestBody"].get("required"):
            schema = operation.definition["requestBody"]["content"][JSON]["schema"]
            if self.schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("required"):
                return {"body": {}}
        return {"query": {**request["query"], **UNKNOWN}}

    def signed(self, name: str, *, body: Any, headers: Mapping[str, str]) -> None:
        """Send a request that its headers prove, and keep it. Raises CommandError if it is refused."""
        operation = self.operations[name]
        answer = self.client.request(operation.method.upper(), operation.path, json=body, headers=dict(headers))
        if not answer.is_success:
            raise CommandError(f"{name}: {answer.status_code} {answer.text[:500]}")
        self._keep(name, {"path": {}, "query": {}, "body": body}, None, answer.status_code, answer.json())

    def refused(self, name: str, status: int, **request: Any) -> None:
        """Send a request that is refused with ``status``, and keep the problem."""
        operation = self.operations[name]
        target = operation.path
        for key, value in request.get("path", {}).items():
            target = target.replace("{" + key + "}", str(value))
        answer = self.client.request(
            operation.method.upper(),
            target,
            params=request.get("query"),
            headers={**self.credentials.get(request.get("by", ""), {}), **request.get("headers", {})},
            **({"json": request["body"]} if "body" in request else {}),
        )
        self._keep_problem(name, status, answer)

    def _keep_problem(self, name: str, status: int, answer: httpx.Response) -> None:
        if answer.status_code != status:
            raise CommandError(f"{name}: {answer.status_code} instead of {status}: {answer.text[:500]}")
        answers = self.kept.setdefault(name, {"answers": {}})["answers"]
        answers.setdefault(str(status), self.normaliser.value(answer.json()))

    def _keep(self, name: str, request: Mapping[str, Any], content: str | None, status: int, answer: Any) -> None:
        example = self.kept.setdefault(name, {"answers": {}})
        if "parameters" not in example:
            values = [(part, key, value) for part in ("path", "query") for key, value in request[part].items()]
            example["parameters"] = {f"{part}.{key}": self.normaliser.value(value, key) for part, key, value in values}
            body = content if content is not None else request["body"]
            if body is not None:
                example["body"] = self.normaliser.value(body)
        if answer is not None:
            example["answers"].setdefault(str(status), shortened(self.normaliser.value(answer)))

    def wait(self, what: str, is_there: Callable[[], Any]) -> Any:
        """Return what ``is_there`` returns once it is true. Raises CommandError after PATIENCE_S."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := is_there()):
            if time.monotonic() > deadline:
                raise CommandError(f"{what}: not there after {PATIENCE_S:.0f} s")
            time.sleep(0.1)
        return found


# entries of a list that an example shows: what comes after is of the same form
SHOWN: Final = 3


def shortened(value: Any) -> Any:
    """Return an answer whose long lists have their first entries only."""
    if isinstance(value, dict):
        return {key: shortened(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shortened(member) for member in value[:SHOWN]]
    return value


def as_text(kept: Mapping[str, Any]) -> str:
    """Return recorded examples as they are stored."""
    return json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
