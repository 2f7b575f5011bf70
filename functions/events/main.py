"""HTTP: record what users do. Needs Pub/Sub only: events are accepted while Postgres and Redis are away."""

from functions.events import events as routes
from shared.http import api, serve

app = api(
    "events",
    "Records what users do. Recommendations follow within a second.",
    needs=("pubsub",),
    tags={"events": "What users do: views, carts, purchases, searches."},
)
app.include_router(routes.router)

events = serve(app)
