"""The application factory of every HTTP function."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute

from shared import logs
from shared.http import health, problems, security
from shared.http.edge import Edge
from shared.http.routes import only_declared

# the components of every description: a generated client has one class for all problems
PROBLEM_SCHEMAS: dict[str, dict[str, Any]] = {
    "Problem": {
        "type": "object",
        "description": "What went wrong (RFC 9457). docs/problems.md lists the types.",
        "required": ["type", "title", "status", "instance", "request_id"],
        "properties": {
            "type": {"type": "string", "description": "`urn:aisle:problem:` and the slug of the problem."},
            "title": {"type": "string", "description": "Summary of the kind of problem."},
            "status": {"type": "integer", "description": "HTTP status."},
            "detail": {"type": "string", "description": "What is wrong and how to fix it."},
            "instance": {"type": "string", "description": "Path of the request."},
            "request_id": {"type": "string", "description": "Id of the request, also in the logs."},
            "errors": {
                "type": "array",
                "description": "The invalid fields.",
                "items": {"$ref": "#/components/schemas/InvalidField"},
            },
        },
    },
    "InvalidField": {
        "type": "object",
        "description": "A field that breaks a rule.",
        "required": ["field", "message", "type"],
        "properties": {
            "field": {"type": "string", "description": "Path of the field, its parts separated by dots."},
            "message": {"type": "string", "description": "The rule that the value breaks."},
            "type": {"type": "string", "description": "Name of the rule."},
        },
    },
}


def problem_responses(*statuses: int, schema: str = "Problem") -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of problems with these statuses, described by the component ``schema``."""
    content = {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {status: {"description": "A problem (RFC 9457).", "content": content} for status in statuses}


# For routes that take a user's credential (shared/http/credentials.py).
OWNED = problem_responses(401, 403)


class Application(FastAPI):
    """An application whose description has further components, to which its responses refer."""

    def __init__(self, schemas: Mapping[str, dict[str, Any]], **options: Any) -> None:
        super().__init__(**options)
        self.schemas = schemas

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI description, which FastAPI creates once."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            document.setdefault("components", {}).setdefault("schemas", {}).update(self.schemas)
            security.describe(self, document)
        return document


def operation_id(route: APIRoute) -> str:
    """Return the route function's name: clients are generated from the description, one method per operation."""
    return route.name


def api(
    name: str,
    description: str,
    *,
    needs: tuple[str, ...],
    max_body: Mapping[str, int] | None = None,
    max_values: Mapping[str, int] | None = None,
    costs: Mapping[str, int] | None = None,
    raw_bodies: frozenset[str] = frozenset(),
    text_bodies: frozenset[str] = frozenset(),
    form_bodies: frozenset[str] = frozenset(),
    gzip_bodies: bool = False,
    basic_keys: bool = False,
    located: Mapping[str, Sequence[bytes]] | None = None,
    tags: Mapping[str, str] | None = None,
    schemas: Mapping[str, dict[str, Any]] | None = None,
) -> FastAPI:
    """Return the application of the function ``name``.

    ``needs`` are the services that its readiness depends on, ``tags`` the descriptions of the tags (resources) of its
    routes, ``schemas`` the components that only its own problems use; ``Edge`` describes the others.
    """
    logs.configure()
    app = Application(
        PROBLEM_SCHEMAS | dict(schemas or {}),
        title=name,
        description=description,
        version="1",
        openapi_url="/openapi.json",
        # the framework's own pages load scripts of other hosts; the function web serves the reference
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        openapi_tags=[{"name": tag, "description": text} for tag, text in (tags or {}).items()],
        # any request may be answered with these
        responses=problem_responses(400, 408, 413, 415, 422, 429, 500, 503),
        dependencies=[Depends(only_declared)],
    )
    problems.install(app)
    health.install(app, name, needs)
    app.state.edge = Edge(
        app,
        name,
        max_body,
        max_values=max_values,
        costs=costs,
        raw_bodies=raw_bodies,
        text_bodies=text_bodies,
        form_bodies=form_bodies,
        gzip_bodies=gzip_bodies,
        basic_keys=basic_keys,
        located=located,
    )
    return app


def charge(request: Request, cost: int) -> None:
    """Count a request as ``cost`` further requests in the rate limit: what it costs is known once it is validated."""
    edge: Edge = request.app.state.edge
    edge.limiter.charge(request.scope.get("aisle.client", ""), cost)
