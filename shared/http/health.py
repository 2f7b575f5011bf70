"""GET /health (liveness, with the state of the services behind the function) and GET /health/ready."""

import threading
import time
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakSet

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from shared.clients import closed_on_reset
from shared.errors import AppError

CHECKS: Final = ("postgres", "redis", "pubsub", "model")
CHECK_S: Final = 1.0
PUBSUB_FACTOR: Final = 10


def check(service: str) -> bool:
    """Return whether a service in CHECKS responds now; for ``model``, whether a model is active."""
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


class Checks:
    """The results of ``check``, each cached for CHECK_S seconds, so that probes put no load on the services.

    Pub/Sub is checked less often, because its administrative API has a small quota. Concurrent requests share one
    check.
    """

    def __init__(self) -> None:
        self.results: dict[str, tuple[float, bool]] = {}
        self._locks = {service: threading.Lock() for service in CHECKS}
        _all.add(self)

    def __call__(self, service: str) -> bool:
        """Return whether a service in CHECKS responded at its last check."""
        with self._locks[service]:
            at, healthy = self.results.get(service, (float("-inf"), False))
            # A service that was down is checked again soon.
            age = CHECK_S * (PUBSUB_FACTOR if service == "pubsub" and healthy else 1)
            if time.monotonic() - at < age:
                return healthy
            healthy = check(service)
            self.results[service] = (time.monotonic(), healthy)
            return healthy


_all: WeakSet[Checks] = WeakSet()


@closed_on_reset
def forget_checks() -> None:
    """Forget the results, which belong to clients that were closed."""
    for checks in _all:
        checks.results.clear()


def install(app: FastAPI, name: str, needs: tuple[str, ...]) -> None:
    """Add both routes for the function ``name``, which needs the services ``needs`` from CHECKS."""
    checks = Checks()

    @app.get("/health", tags=["health"])
    def get_health() -> dict[str, Any]:
        """Report that the function is alive, and which services that it needs are not."""
        healthy = {service: checks(service) for service in needs if service != "model"}
        body: dict[str, Any] = {"status": "healthy" if all(healthy.values()) else "degraded", "service": name}
        for service, member in (("postgres", "database"), ("redis", "redis"), ("pubsub", "pubsub")):
            if service in healthy:
                body[member] = "healthy" if healthy[service] else "unhealthy"
        return body | {"timestamp": datetime.now(UTC).isoformat()}

    @app.get("/health/ready", tags=["health"])
    async def get_readiness() -> JSONResponse:
        """Answer 200 when every service that the function needs is ready, and 503 otherwise."""
        ready = {service: await run_in_threadpool(checks, service) for service in needs}
        all_ready = all(ready.values())
        return JSONResponse({"ready": all_ready, "checks": ready}, 200 if all_ready else 503)
