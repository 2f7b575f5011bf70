"""HTTP: record what users do. Needs Pub/Sub only: events are accepted while Postgres and Redis are away."""

from functions.events import events as routes
from functions.events.events import BATCH_PATH, EVENT_PATH, MAX_BATCH_BYTES, MAX_BATCH_VALUES
from shared.clients import pubsub
from shared.http import api, serve

app = api(
    "events",
    "Records what users do. Recommendations follow within a second.",
    needs=("pubsub",),
    max_body={BATCH_PATH: MAX_BATCH_BYTES},
    max_values={BATCH_PATH: MAX_BATCH_VALUES},
    text_bodies=frozenset({EVENT_PATH, BATCH_PATH}),
    tags={"events": "What users do: views, carts, purchases, searches."},
)
app.include_router(routes.router)

events = serve(app, at_start=pubsub.connect_in_background)
