"""The application factory of every HTTP function."""

from collections.abc import Mapping
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute

from shared import logs
from shared.http import health, problems
from shared.http.edge import Edge
from shared.http.routes import only_declared

PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "`urn:aisle:problem:` and the slug of the problem."},
        "title": {"type": "string", "description": "Summary of the kind of problem."},
        "status": {"type": "integer", "description": "HTTP status."},
        "detail": {"type": "string", "description": "What was wrong and how to mend it."},
        "instance": {"type": "string", "description": "Path of the request."},
        "request_id": {"type": "string", "description": "Id of the request, also in the logs."},
        "errors": {
            "type": "array",
            "description": "The invalid fields.",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", "description": "Path of the field, with dots."},
                    "message": {"type": "string", "description": "The rule that the value breaks."},
                    "type": {"type": "string", "description": "Name of the rule."},
                },
            },
        },
    },
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of problems with these statuses."""
    content = {"application/problem+json": {"schema": PROBLEM}}
    return {status: {"description": "A problem (RFC 9457).", "content": content} for status in statuses}


# of routes that take a credential of a user (shared/auth.py)
OWNED = problem_responses(401, 403)


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
    tags: Mapping[str, str] | None = None,
) -> FastAPI:
    """Return the application of the function ``name``.

    ``needs`` are the services that its readiness depends on, ``tags`` the descriptions of the tags (resources) of its
    routes; ``Edge`` describes the others.
    """
    logs.configure()
    app = FastAPI(
        title=name,
        description=description,
        version="1",
        openapi_url="/openapi.json",
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        openapi_tags=[{"name": tag, "description": text} for tag, text in (tags or {}).items()],
        # any request may be answered with these
        responses=problem_responses(400, 413, 415, 422, 429, 500, 503),
        dependencies=[Depends(only_declared)],
    )
    problems.install(app)
    health.install(app, name, needs)
    app.state.edge = Edge(
        app, name, max_body, max_values=max_values, costs=costs, raw_bodies=raw_bodies, text_bodies=text_bodies
    )
    return app


def charge(request: Request, cost: int) -> None:
    """Count a request as ``cost`` further requests in the rate limit: what it costs is known once it is validated."""
    edge: Edge = request.app.state.edge
    edge.limiter.charge(request.scope.get("aisle.client", ""), cost)
