"""HTTP: takes events in the dialects of other collectors, and the deliveries of Medusa shops."""

from typing import Final

from functions.collect import ga4, medusa, plain, retail, segment
from shared.clients import pubsub
from shared.http import api, serve
from shared.http.edge import ANY_PATH

MAX_BODY_BYTES: Final = 1_048_576
# 500 calls of Segment with context and products
MAX_BODY_VALUES: Final = 50_000

app = api(
    "collect",
    "Takes events as Segment's libraries, GA4's Measurement Protocol and Google Cloud Retail send them, and what a "
    "Medusa shop delivers.",
    needs=("pubsub",),
    max_body={ANY_PATH: MAX_BODY_BYTES},
    max_values={ANY_PATH: MAX_BODY_VALUES},
    text_bodies=frozenset({ANY_PATH}),
    gzip_bodies=True,
    basic_keys=True,
    tags={
        "segment": "Segment's tracking API.",
        "ga4": "Google Analytics 4, Measurement Protocol.",
        "retail": "User events of Google Cloud Retail.",
        "track": "A storefront's own tracking call.",
        "medusa": "Deliveries of a Medusa shop.",
    },
)
# before Segment's, whose routes take every path below /v1
app.include_router(medusa.router)
app.include_router(segment.router)
app.include_router(ga4.router)
app.include_router(retail.router)
app.include_router(plain.router)

collect = serve(app, at_start=pubsub.connect_in_background)
