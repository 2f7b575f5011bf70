"""GET /health (the function is alive, and which services behind it are not) and GET /health/ready."""

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from shared.errors import AppError

CHECKS = ("postgres", "redis", "pubsub", "model")


def check(service: str) -> bool:
    """Whether a service of CHECKS answers now; ``model`` is whether a model is active."""
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
            from shared.storage.recommending import models

            return models.has_active()
    except AppError:
        return False
    except Exception:  # noqa: BLE001 — whatever error a client raises, the service is not ready
        return False
    return True


def install(app: FastAPI, name: str, needs: tuple[str, ...]) -> None:
    """Add both routes for the function ``name``, which needs the services ``needs`` of CHECKS."""

    @app.get("/health", tags=["health"])
    def get_health() -> dict[str, Any]:
        """Report that the function is alive, and which services that it needs are not."""
        healthy = {service: check(service) for service in needs if service != "model"}
        body: dict[str, Any] = {"status": "healthy" if all(healthy.values()) else "degraded", "service": name}
        for service, member in (("postgres", "database"), ("redis", "redis"), ("pubsub", "pubsub")):
            if service in healthy:
                body[member] = "healthy" if healthy[service] else "unhealthy"
        return body | {"timestamp": datetime.now(UTC).isoformat()}

    @app.get("/health/ready", tags=["health"])
    async def get_readiness() -> JSONResponse:
        """Answer 200 when every service that the function needs is ready, and 503 otherwise."""
        ready = {service: await run_in_threadpool(check, service) for service in needs}
        all_ready = all(ready.values())
        return JSONResponse({"ready": all_ready, "checks": ready}, 200 if all_ready else 503)
