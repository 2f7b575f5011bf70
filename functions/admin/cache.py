"""Routes of the cache of answers."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from functions.admin.schemas.cache import CacheFlush
from shared.clients.postgres import transaction
from shared.errors import Unavailable
from shared.http.credentials import requires
from shared.storage.answers import invalidation, protocol
from shared.storage.operations import audit

router = APIRouter(prefix="/cache", tags=["cache"])
CacheAdmin = Annotated[str, requires("cache:flush")]
Scope = Annotated[Literal["recommendations", "similar", "trending"], Path(description="Kind of answers to invalidate.")]


def flush(actor: str, *scopes: str) -> CacheFlush:
    """Invalidate the stored answers of the scopes, of all if none is given. Raises Unavailable without Redis."""
    # one transaction: the audit log has no entry for a flush that failed
    with transaction() as connection:
        audit.record(
            connection, actor, "cache.flush", ",".join(scopes) or "all", after={"scopes": scopes or protocol.SCOPES}
        )
        if not invalidation.flush(*scopes):
            raise Unavailable(
                "Redis does not answer, and no stored answer is served meanwhile. Send the request again in a moment."
            )
    return CacheFlush(message=f"Flushed the stored answers of {', '.join(scopes)}." if scopes else "Flushed the cache.")


@router.post("/flush")
def flush_cache(actor: CacheAdmin) -> CacheFlush:
    """Invalidate every stored answer. Audited."""
    return flush(actor)


@router.post("/flush/{scope}")
def flush_cache_scope(actor: CacheAdmin, scope: Scope) -> CacheFlush:
    """Invalidate the stored answers of one kind. Audited."""
    return flush(actor, scope)
