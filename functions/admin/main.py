"""HTTP: operating the shop: dashboard, caches, models, jobs, audit log, rejected events. For staff and machines."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import dead_letters, doctor, jobs, rules, schemas, training, users
from functions.admin.jobs import job_names
from shared.auth import requires
from shared.clients.postgres import transaction
from shared.errors import Unavailable
from shared.http import api, cached, fresh, serve
from shared.http.api import OWNED, problem_responses
from shared.storage.answers import invalidation, protocol
from shared.storage.events import rejected
from shared.storage.operations import audit, dashboard
from shared.storage.recommending import models

app = api(
    "admin",
    "Operating the shop. Every route needs a permission: a token of staff, or ADMIN_TOKEN.",
    needs=("postgres", "redis", "pubsub"),
)
# each route names its permission; tests/integration/admin/test_access.py holds that none forgets to
router = APIRouter(prefix="/admin", tags=["admin"], responses=OWNED)

Page = Annotated[schemas.Page, QueryParameters()]
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
DASHBOARD_TTL_S = 60


def private(request: Request, body: Any) -> Response:
    """Return a JSON answer that only its asker may keep."""
    return fresh(request, body if isinstance(body, bytes) else orjson.dumps(body), max_age_s=0, public=False)


def render() -> bytes:
    """Return the dashboard as JSON."""
    return dashboard.render(job_names())


@router.get("/dashboard", dependencies=[requires("dashboard:read")], response_model=schemas.Dashboard)
async def get_dashboard(request: Request) -> Response:
    """Return the shop at a glance, at most a minute old."""
    body = await cached("dashboard", protocol.DASHBOARD, ttl_s=DASHBOARD_TTL_S, compute=render)
    return private(request, body)


def flush(actor: str, *scopes: str) -> schemas.Message:
    """Make stored answers invalid, and write who did. Nothing is written when Redis is away."""
    with transaction() as connection:
        audit.record(
            connection,
            actor,
            "cache.flush",
            ",".join(scopes) or "all",
            after={"scopes": scopes or protocol.SCOPES},
        )
        if not invalidation.flush(*scopes):
            raise Unavailable("Redis is away: nothing was flushed, and nothing is answered from it.")
    return schemas.Message(message=f"Flushed the cache of {', '.join(scopes) or 'everything'}.")


@router.post("/cache/flush")
def flush_all(actor: Annotated[str, requires("cache:flush")]) -> schemas.Message:
    """Make every stored answer invalid."""
    return flush(actor)


@router.post("/cache/flush/{scope}")
def flush_scope(
    actor: Annotated[str, requires("cache:flush")], scope: Literal["recommendations", "similar", "trending"]
) -> schemas.Message:
    """Make the stored answers of one kind invalid."""
    return flush(actor, scope)


@router.get("/models", dependencies=[requires("models:read")], response_model=schemas.Models)
def get_models(request: Request) -> Response:
    """List the model versions, newest first."""
    return private(request, {"models": models.list_models()})


@router.post("/models/{version}/activate", responses=problem_responses(404, 409))
def activate_model(actor: Annotated[str, requires("models:activate")], version: Version) -> schemas.Activated:
    """Serve from a version published earlier, from the next request on."""
    with transaction() as connection:
        previous = models.activate(connection, version)
        audit.record(
            connection, actor, "model.activate", str(version), before={"version": previous}, after={"version": version}
        )
    invalidation.flush("similar", "recommendations", "dashboard")
    return schemas.Activated(version=version, previous=previous)


@router.get("/audit-log", dependencies=[requires("audit:read")], response_model=schemas.AuditLog)
def get_audit_log(request: Request, query: Page) -> Response:
    """Page through what was written by these routes, newest first."""
    entries, total = audit.page(query.page_size, query.offset)
    return private(request, {"entries": [entry._asdict() for entry in entries]} | query.of(total))


@router.get("/rejected-events", dependencies=[requires("events:read")], response_model=schemas.RejectedEvents)
def get_rejected_events(request: Request, query: Page) -> Response:
    """Page through the events that could never succeed, with their reasons, newest first."""
    entries, total = rejected.page(query.page_size, query.offset)
    return private(request, {"entries": [entry._asdict() for entry in entries]} | query.of(total))


router.include_router(rules.router)
router.include_router(users.router)
router.include_router(jobs.router)
router.include_router(dead_letters.router)
router.include_router(doctor.router)
router.include_router(training.router)
app.include_router(router)

admin = serve(app)
