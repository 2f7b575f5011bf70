"""The application factory of every HTTP function."""

from typing import Any

from fastapi import FastAPI

from shared import logs
from shared.http import health, problems
from shared.http.edge import Edge

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "instance", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}, "type": {"type": "string"}},
            },
        },
    },
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for the problems with these statuses."""
    content = {"application/problem+json": {"schema": PROBLEM}}
    return {status: {"description": "A problem (RFC 9457)", "content": content} for status in statuses}


# of routes that take a Shopper, Holder or Account (shared/auth.py)
OWNED = problem_responses(401, 403)


def api(name: str, description: str, *, needs: tuple[str, ...], max_body: dict[str, int] | None = None) -> FastAPI:
    """Return the application of the function ``name``; ``needs`` are the services that its readiness depends on."""
    logs.configure()
    app = FastAPI(
        title=name,
        description=description,
        version="1",
        openapi_url="/openapi.json",
        redirect_slashes=False,
        # documented where they can happen to any request
        responses=problem_responses(400, 413, 422, 429, 500, 503),
    )
    problems.install(app)
    health.install(app, needs)
    app.state.edge = Edge(app, name, max_body)
    return app
