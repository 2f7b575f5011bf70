"""GET /health (alive, and what is degraded) and GET /health/ready (all that the function needs answers)."""

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from shared.errors import AppError

CHECKS = ("postgres", "redis", "pubsub", "model")


def check(service: str) -> bool:
    """Whether a service answers now."""
    try:
        if service == "postgres":
            from shared.clients import postgres

            postgres.ping()
        elif service == "redis":
            from shared.clients import redis_sync

            return redis_sync.ping()
        elif service == "pubsub":
            from shared.clients import pubsub
            from shared.messages import USER_EVENTS

            pubsub.publisher().get_topic(topic=pubsub.topic_path(USER_EVENTS), timeout=2, retry=None)
        elif service == "model":
            from shared.clients import postgres

            return postgres.read_one("SELECT 1 FROM models WHERE active") is not None
    except AppError:
        return False
    except Exception:  # noqa: BLE001 — whatever a client raises, the service is not ready
        return False
    return True


def install(app: FastAPI, needs: tuple[str, ...]) -> None:
    """Add both routes; a function that needs neither Postgres nor Redis is healthy without them."""

    @app.get("/health", tags=["health"])
    def health() -> dict[str, Any]:
        """Report that the function is alive, and whether a service behind it is not."""
        found = {service: check(service) for service in needs if service != "model"}
        answer: dict[str, Any] = {"status": "healthy" if all(found.values()) else "degraded"}
        for service, name in (("postgres", "database"), ("redis", "redis"), ("pubsub", "pubsub")):
            if service in found:
                answer[name] = "healthy" if found[service] else "unhealthy"
        return answer | {"timestamp": datetime.now(UTC).isoformat()}

    @app.get("/health/ready", tags=["health"])
    async def ready() -> JSONResponse:
        """Answer 200 when everything the function needs answers, otherwise 503 with what does not."""
        found = {service: await run_in_threadpool(check, service) for service in needs}
        ok = all(found.values())
        return JSONResponse({"ready": ok, "checks": found}, 200 if ok else 503)
