"""Routes of scheduled feeds: catalogs that the job import_feeds fetches."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import ValidationError
from starlette.responses import Response

from functions.admin.answering import created
from functions.admin.schemas.feeds import CatalogFeed, FeedList, FeedPatch, FeedWrite
from shared.clients.postgres import transaction
from shared.http import IdempotencyKey
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.http.idempotency import Finish, fingerprint, once
from shared.storage.catalog import feeds
from shared.storage.operations import audit
from shared.validation import validation_problem

router = APIRouter(prefix="/feeds", tags=["feeds"])
CatalogAdmin = Annotated[str, requires("catalog:write")]
FeedId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the feed.")]


def _settings(feed: dict[str, Any]) -> dict[str, Any]:
    return {name: feed[name] for name in feeds.SETTINGS}


@router.get("", dependencies=[requires("jobs:read")])
def list_feeds() -> FeedList:
    """List every scheduled feed with its last run, oldest first."""
    return FeedList.model_construct(feeds=[CatalogFeed.model_construct(**feed) for feed in feeds.list_feeds()])


@router.get("/{feed_id}", dependencies=[requires("jobs:read")], responses=problem_responses(404))
def get_feed(feed_id: FeedId) -> CatalogFeed:
    """Return a scheduled feed with its last run."""
    return CatalogFeed.model_construct(**feeds.get(feed_id))


@router.post("", status_code=201, response_model=CatalogFeed, responses=problem_responses(409))
def create_feed(actor: CatalogAdmin, feed: FeedWrite, key: IdempotencyKey = None) -> Response:
    """Add a scheduled feed. It runs with the next run of the job import_feeds. Audited."""

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            added = feeds.add(connection, feed.model_dump())
            audit.record(connection, actor, "feed.add", str(added["id"]), after=_settings(added))
            answer = created(CatalogFeed.model_construct(**added), f"/admin/feeds/{added['id']}")
            finish(connection, answer)
        return answer

    return once(key, "POST /admin/feeds", fingerprint(feed), work)


@router.patch("/{feed_id}", responses=problem_responses(404))
def update_feed(actor: CatalogAdmin, feed_id: FeedId, patch: FeedPatch) -> CatalogFeed:
    """Change a scheduled feed, which then runs again even if its file is unchanged. Omitted fields stay. Audited."""
    with transaction() as connection:
        before = feeds.lock(connection, feed_id)
        try:
            feed = FeedWrite.model_validate(_settings(before) | (patch.model_extra or {}))
        except ValidationError as error:
            raise validation_problem(error) from None
        after = feeds.change(connection, feed_id, feed.model_dump())
        audit.record(connection, actor, "feed.change", str(feed_id), before=_settings(before), after=_settings(after))
    return CatalogFeed.model_construct(**after)


@router.delete("/{feed_id}", status_code=204, responses=problem_responses(404))
def delete_feed(actor: CatalogAdmin, feed_id: FeedId) -> Response:
    """Delete a scheduled feed. Its products stay as they are. Audited."""
    with transaction() as connection:
        before = feeds.lock(connection, feed_id)
        feeds.delete(connection, feed_id)
        audit.record(connection, actor, "feed.delete", str(feed_id), before=_settings(before))
    return Response(status_code=204)
