"""HTTP: who a shopper is: guests, accounts and their tokens; what is known of them, and its end."""

from functions.accounts import sessions, users
from shared.http import api, serve

app = api("accounts", "Guests, accounts, and what is known of them.", needs=("postgres", "redis"))
app.include_router(sessions.router)
app.include_router(users.router)

accounts = serve(app)
