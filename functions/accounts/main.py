"""HTTP: guests, accounts and their tokens; a user's profile and personal data."""

from functions.accounts import links, merging, sessions, users
from shared.http import api, serve

app = api(
    "accounts",
    "Guests and accounts, their tokens, profiles and personal data.",
    needs=("postgres", "redis"),
    # a password's hash costs about as much as 20 cheap requests; changing it takes two
    costs={
        "/auth/login": 20,
        "/auth/register": 20,
        "/auth/password": 40,
        "/auth/password-reset": 20,
        "/auth/set-password": 20,
        "/auth/verification": 20,
        "/users/me": 20,
    },
    form_bodies=links.FORMS,
    tags={
        "sessions": "Guests, registration, login and tokens.",
        "links": "Mailed links: a forgotten password, the verification of an address.",
        "users": "The user of the access token: profile, location, preferences, search history, export and erasure.",
    },
)
app.include_router(sessions.router)
app.include_router(links.router)
app.include_router(users.router)
app.include_router(merging.router)

accounts = serve(app)
