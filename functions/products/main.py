"""HTTP: the catalog. Products and their search, suggestions, categories; for staff, changes and imports."""

from functions.products import categories, images, imports, suggestions
from functions.products import products as product_routes
from shared.domain.images import MAX_BYTES
from shared.http import api, serve

app = api(
    "products",
    "The shop's catalog and its administration.",
    needs=("postgres", "redis", "pubsub"),
    max_body={imports.PATH: imports.MAX_IMPORT_BYTES, images.UPLOADS: MAX_BYTES},
    raw_bodies=frozenset({imports.PATH, images.UPLOADS}),
    # only pages that need a place: others are the same for everybody
    located={"/products": (b"sort=distance", b"max_distance_km=")},
    tags={
        "products": "Products: search with filters and facets, one product, and changes by staff.",
        "suggestions": "Completions of what a shopper types.",
        "categories": "The tree of categories.",
        "images": "Uploading images of products, by staff.",
        "imports": "Creating and changing many products at once, by staff.",
    },
)
# the fixed paths first: /products/{product_id} matches them too
app.include_router(suggestions.router)
app.include_router(categories.router)
app.include_router(imports.router)
app.include_router(images.router)
app.include_router(product_routes.router)

products = serve(app)
