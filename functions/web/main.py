"""HTTP: the pages that people open: the storefront, the console for staff, their files, and pictures of products."""

from functions.web import images, page_settings, pages, pictures
from shared.http import api, serve

app = api(
    "web",
    "Pages for shoppers and staff.",
    needs=("postgres",),
    tags={
        "pages": "Settings that the storefront and the console load before they show anything.",
        "images": "Images of products: uploaded ones, and drawn pictures of products that have none.",
    },
)
# the fixed path first: /web/{path} matches it too
app.include_router(page_settings.router)
app.include_router(pictures.router)
app.include_router(images.router)
app.include_router(pages.router)

web = serve(app)
