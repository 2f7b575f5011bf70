"""Every error that Aisle raises on purpose, with the status, slug and title of its problem document (RFC 9457).

* AppError                  500 internal-error
  + InvalidRequest          422 invalid-request
    + MalformedBody         400 malformed-body
    + BodyTooLarge          413 body-too-large
    + BodyTooSlow           408 body-too-slow
    + UnsupportedMediaType  415 unsupported-media-type
    + IdempotencyMismatch   422 idempotency-key-reused
    + WeakPassword          422 weak-password
    + InvalidLink           422 invalid-link
      + LinkExpired         410 link-expired
  + PaymentDeclined         402 payment-declined
  + Unauthorized            401 unauthorized
    + InvalidToken          401 invalid-token
      + TokenExpired        401 token-expired
      + TokenReused         401 token-reused
    + InvalidApiKey         401 invalid-api-key
    + LoginFailed           401 login-failed
    + Forbidden             403 forbidden
  + NotFound                404 not-found
    + ProductNotFound       404 product-not-found
    + CategoryNotFound      404 category-not-found
    + SegmentNotFound       404 segment-not-found
    + JobNotFound           404 job-not-found
    + OrderNotFound         404 order-not-found
    + NotInCart             404 not-in-cart
    + NotInWishlist         404 not-in-wishlist
  + Conflict                409 conflict
    + IdempotencyInProgress 409 request-in-progress
    + JobRunning            409 job-running
    + SchemaMissing         409 schema-missing
    + OutOfStock            409 out-of-stock
    + PriceChanged          409 price-changed
    + CartEmpty             409 cart-empty
    + CartFull              409 cart-full
    + WishlistFull          409 wishlist-full
    + OrderStateConflict    409 order-state
    + EmailTaken            409 email-taken
    + UsernameTaken         409 username-taken
  + MethodNotAllowed        405 method-not-allowed
  + RateLimited             429 rate-limited
    + LockedOut             429 locked-out
  + Unavailable             503 unavailable
    + DatabaseUnavailable   503 database-unavailable
      + StatementTimeout    503 statement-timeout
      + DatabaseBusy        503 database-busy
    + PubSubUnavailable     503 pubsub-unavailable
    + ModelUnavailable      503 model-unavailable
    + PaymentUnavailable    503 payment-unavailable
    + MailFailed            503 mail-failed
  + MissingSetting          500 missing-setting
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class AppError(Exception):
    """Base of all errors. ``detail`` says what is wrong and what to do; ``errors`` lists the invalid fields, each with
    ``field``, ``message`` and ``type``; ``extra`` becomes further members of the problem document."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal server error"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def problem(self) -> dict[str, Any]:
        """Return the problem document, without the members that depend on the request."""
        document: dict[str, Any] = {
            "type": f"urn:aisle:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
        }
        if self.detail:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = [dict(error) for error in self.errors]
        return document | self.extra


class InvalidRequest(AppError):
    status, slug, title = 422, "invalid-request", "Invalid request"

    @classmethod
    def of_field(cls, field: str, message: str, kind: str = "value_error") -> "InvalidRequest":
        """Return the error for a field whose rule cannot be checked by validating the request alone."""
        return cls(f"{field}: {message}", errors=[{"field": field, "message": message, "type": kind}])


class MalformedBody(InvalidRequest):
    status, slug, title = 400, "malformed-body", "Malformed JSON body"


class BodyTooLarge(InvalidRequest):
    status, slug, title = 413, "body-too-large", "Request body too large"


class BodyTooSlow(InvalidRequest):
    status, slug, title = 408, "body-too-slow", "Request body not received in time"


class UnsupportedMediaType(InvalidRequest):
    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"


class IdempotencyMismatch(InvalidRequest):
    slug, title = "idempotency-key-reused", "Idempotency key reused"


class PaymentDeclined(AppError):
    status, slug, title = 402, "payment-declined", "Payment declined"


class WeakPassword(InvalidRequest):
    slug, title = "weak-password", "Password too easy to guess"


class InvalidLink(InvalidRequest):
    slug, title = "invalid-link", "Link not valid"


class LinkExpired(InvalidLink):
    status, slug, title = 410, "link-expired", "Link used or expired"


class Unauthorized(AppError):
    status, slug, title = 401, "unauthorized", "Authentication required"


class InvalidToken(Unauthorized):
    slug, title = "invalid-token", "Invalid token"


class TokenExpired(InvalidToken):
    slug, title = "token-expired", "Token expired"


class TokenReused(InvalidToken):
    slug, title = "token-reused", "Refresh token reused"


class InvalidApiKey(Unauthorized):
    status, slug, title = 401, "invalid-api-key", "Invalid API key"


class LoginFailed(Unauthorized):
    slug, title = "login-failed", "Wrong email or password"


class Forbidden(Unauthorized):
    status, slug, title = 403, "forbidden", "Forbidden"


class NotFound(AppError):
    status, slug, title = 404, "not-found", "Not found"


class ProductNotFound(NotFound):
    slug, title = "product-not-found", "Product not found"


class CategoryNotFound(NotFound):
    slug, title = "category-not-found", "Category not found"


class SegmentNotFound(NotFound):
    slug, title = "segment-not-found", "Segment not found"


class JobNotFound(NotFound):
    slug, title = "job-not-found", "Job not found"


class OrderNotFound(NotFound):
    slug, title = "order-not-found", "Order not found"


class NotInCart(NotFound):
    slug, title = "not-in-cart", "Product not in the cart"


class NotInWishlist(NotFound):
    slug, title = "not-in-wishlist", "Product not on the wishlist"


class MethodNotAllowed(AppError):
    status, slug, title = 405, "method-not-allowed", "Method not allowed"


class Conflict(AppError):
    status, slug, title = 409, "conflict", "Conflict"


class IdempotencyInProgress(Conflict):
    slug, title = "request-in-progress", "Request still in progress"


class JobRunning(Conflict):
    slug, title = "job-running", "Job already running"


class SchemaMissing(Conflict):
    slug, title = "schema-missing", "Database has no schema yet"


class OutOfStock(Conflict):
    slug, title = "out-of-stock", "Not enough stock"


class PriceChanged(Conflict):
    slug, title = "price-changed", "Total has changed"


class CartEmpty(Conflict):
    slug, title = "cart-empty", "Cart is empty"


class CartFull(Conflict):
    slug, title = "cart-full", "Cart is full"


class WishlistFull(Conflict):
    slug, title = "wishlist-full", "Wishlist is full"


class OrderStateConflict(Conflict):
    slug, title = "order-state", "Order state does not allow this change"


class EmailTaken(Conflict):
    slug, title = "email-taken", "Email already in use"


class UsernameTaken(Conflict):
    slug, title = "username-taken", "Username already in use"


class RateLimited(AppError):
    status, slug, title = 429, "rate-limited", "Too many requests"


class LockedOut(RateLimited):
    slug, title = "locked-out", "Too many failed attempts"


class Unavailable(AppError):
    status, slug, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1, **extra: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)}, **extra)


class DatabaseUnavailable(Unavailable):
    slug, title = "database-unavailable", "Database unavailable"


class StatementTimeout(DatabaseUnavailable):
    slug, title = "statement-timeout", "Database too slow"


class DatabaseBusy(DatabaseUnavailable):
    """``undone``: the server rolled the transaction back in favour of another one, so it may be retried."""

    slug, title = "database-busy", "Database busy"

    def __init__(self, detail: str = "", *, undone: bool = False, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.undone = undone


class PubSubUnavailable(Unavailable):
    """``was_sent``: the message was sent, so Pub/Sub may have stored it without confirming."""

    slug, title = "pubsub-unavailable", "Pub/Sub unavailable"
    was_sent = True


class ModelUnavailable(Unavailable):
    slug, title = "model-unavailable", "No active model"


class PaymentUnavailable(Unavailable):
    slug, title = "payment-unavailable", "Payment provider unavailable"


class MailFailed(Unavailable):
    slug, title = "mail-failed", "Mail not sent"


class MissingSetting(AppError):
    slug, title = "missing-setting", "Missing or invalid setting"
