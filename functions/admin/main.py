"""HTTP: operating the shop, for staff and scripts. Every route needs a permission."""

from fastapi import APIRouter

from functions.admin import (
    api_keys,
    audit_log,
    cache,
    dashboard,
    dead_letters,
    doctor,
    feeds,
    imports,
    jobs,
    models,
    operations,
    overview,
    preview,
    rejected_events,
    rules,
    searches,
    segments,
    shop,
    synonyms,
    training_runs,
    users,
)
from shared.http import api, serve
from shared.http.api import OWNED

app = api(
    "admin",
    "Operating the shop. Every route needs a permission: an access token of staff, or ADMIN_TOKEN.",
    needs=("postgres", "redis", "pubsub"),
    tags={
        "dashboard": "The shop at a glance.",
        "operations": "Message traffic, waiting messages, and the latency and errors of the functions.",
        "shop": "The shop's own settings.",
        "rules": "Rules that pin, boost, bury or exclude products in recommendations.",
        "segments": "Groups of users who behave alike.",
        "searches": "What shoppers searched for.",
        "synonyms": "Synonyms for the search.",
        "models": "Versions of the recommendation model.",
        "preview": "Recommendations explained, and the effect of a rule before it is saved.",
        "training-runs": "Runs of training and evaluation, and their reports.",
        "feeds": "Catalog feeds that are fetched regularly.",
        "imports": "Imports of catalogs: progress and reports.",
        "jobs": "Scheduled jobs and their runs.",
        "cache": "Stored answers.",
        "user-administration": "Accounts, their roles, and personal data at a user's request.",
        "api-keys": "Keys with which the shop's servers and pages identify themselves.",
        "audit-log": "What staff and scripts changed.",
        "rejected-events": "Events and messages that can never be processed.",
        "dead-letters": "Messages that subscribers failed to process, to be published again.",
        "doctor": "Checks of the deployment.",
    },
)
# each route names its permission: tests/integration/admin/test_access.py checks that none is open
router = APIRouter(prefix="/admin", responses=OWNED)
for module in (
    dashboard,
    overview,
    operations,
    shop,
    cache,
    models,
    preview,
    audit_log,
    rejected_events,
    rules,
    searches,
    synonyms,
    segments,
    users,
    api_keys,
    feeds,
    imports,
    jobs,
    dead_letters,
    doctor,
    training_runs,
):
    router.include_router(module.router)
app.include_router(router)

admin = serve(app)
