"""Pages of the links that are mailed: plain forms without script, and what is wrong with a link, as HTML.

A page belongs to whoever holds the link: no cache keeps it, no other site is told its address or may frame it, and
nothing is loaded or run beside it.
"""

import base64
import hashlib
from collections.abc import Callable, Coroutine
from html import escape
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from shared.account_links import PATHS, REQUEST_PATH
from shared.errors import AppError, InvalidLink
from shared.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from shared.validation import validation_problem

STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:4rem auto;padding:0 1rem}"
    "input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.25rem 0 1rem}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
# addresses of pages, as another page names them
PASSWORD_PAGE, VERIFICATION_PAGE, REQUEST_PAGE = (
    path.rpartition("/")[2] for path in (PATHS["reset_password"], PATHS["verify_email"], REQUEST_PATH)
)
FORM_TYPE: Final = "application/x-www-form-urlencoded"


def wants_page(request: Request) -> bool:
    """Return whether a person looks at the answer: they opened a link, or sent the form of a page."""
    return request.method in ("GET", "HEAD") or bool(request.scope.get("aisle.form"))


def page(title: str, content: str, status: int = 200) -> HTMLResponse:
    """Return a page. ``content`` is HTML; ``title`` is text."""
    title = escape(title)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{content}</main></body></html>",
        status,
        HEADERS,
    )


def message(title: str, text: str, status: int = 200) -> HTMLResponse:
    """Return a page that says something."""
    return page(title, f"<p>{escape(text)}</p>", status)


def _form(action: str, fields: str, button: str) -> str:
    # relative, since the address at which shoppers reach this function may have a path of its own
    return f'<form method="post" action="{action}">{fields}<button>{escape(button)}</button></form>'


def _token(token: str) -> str:
    return f'<input type="hidden" name="token" value="{escape(token)}">'


def password_form(token: str, error: str = "", status: int = 200) -> HTMLResponse:
    """Return the page on which a new password is set; ``error`` says what was wrong with the last one."""
    fields = (
        f"{_token(token)}<label>New password ({MIN_CHARACTERS} to {MAX_CHARACTERS} characters)"
        f'<input type="password" name="new_password" autocomplete="new-password" minlength="{MIN_CHARACTERS}" '
        f'maxlength="{MAX_CHARACTERS}" required autofocus></label>'
    )
    note = f'<p role="alert">{escape(error)}</p>' if error else ""
    return page("Set a new password", note + _form(PASSWORD_PAGE, fields, "Set password"), status)


def verification_form(token: str) -> HTMLResponse:
    """Return the page on which an address is confirmed."""
    return page("Confirm your address", _form(VERIFICATION_PAGE, _token(token), "Confirm"))


def request_form() -> HTMLResponse:
    """Return the page on which a link for a new password is requested."""
    field = '<label>Email address<input type="email" name="email" autocomplete="email" required autofocus></label>'
    return page("Forgotten password", _form(REQUEST_PAGE, field, "Send a link"))


class PageRoute(APIRoute):
    """A route whose problems are pages, where a person looks at the answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler with the problems that it raises as pages."""
        handle = super().get_route_handler()

        async def handle_as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except (AppError, RequestValidationError) as error:
                if not wants_page(request):
                    raise
                problem = error if isinstance(error, AppError) else validation_problem(error)
                text = f"<p>{escape(problem.detail)}</p>"
                if isinstance(problem, InvalidLink) and request.url.path.endswith(PASSWORD_PAGE):
                    text += f'<p><a href="{REQUEST_PAGE}">Request a new link</a></p>'
                response = page(problem.title, text, problem.status)
                response.headers.update(problem.headers)
                return response

        return handle_as_page
