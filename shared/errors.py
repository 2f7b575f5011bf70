"""Every error raised on purpose, each with the status, slug and title of its problem answer (RFC 9457).

* AppError                  500 internal-error
  + InvalidRequest          422 invalid-request
    + MalformedBody         400 malformed-body
    + BodyTooLarge          413 body-too-large
    + UnsupportedMediaType  415 unsupported-media-type
    + IdempotencyMismatch   422 idempotency-key-reused
    + WeakPassword          422 weak-password
  + IdempotencyInProgress   409 request-in-progress
  + PaymentDeclined         402 payment-declined
  + Unauthorized            401 unauthorized
    + InvalidToken          401 invalid-token
      + TokenExpired        401 token-expired
      + TokenReused         401 token-reused
    + LoginFailed           401 login-failed
    + Forbidden             403 forbidden
  + NotFound                404 not-found
    + ProductNotFound       404 product-not-found
    + CategoryNotFound      404 category-not-found
    + JobNotFound           404 job-not-found
    + OrderNotFound         404 order-not-found
    + NotInCart             404 not-in-cart
    + NotInWishlist         404 not-in-wishlist
  + Conflict                409 conflict
    + JobRunning            409 job-running
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
    + PubSubUnavailable     503 pubsub-unavailable
    + ModelUnavailable      503 model-unavailable
    + PaymentUnavailable    503 payment-unavailable
  + MissingSetting          500 missing-setting
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class AppError(Exception):
    """An error with a documented problem answer; ``detail`` says what was wrong and what to do next."""

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
        """Return the members of the problem document that do not depend on the request."""
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
    status, slug, title = 422, "invalid-request", "The request is not valid"


class MalformedBody(InvalidRequest):
    status, slug, title = 400, "malformed-body", "The body is not valid JSON"


class BodyTooLarge(InvalidRequest):
    status, slug, title = 413, "body-too-large", "The body is too large"


class UnsupportedMediaType(InvalidRequest):
    status, slug, title = 415, "unsupported-media-type", "The body's media type is not taken here"


class IdempotencyMismatch(InvalidRequest):
    slug, title = "idempotency-key-reused", "The idempotency key was used for another request"


class PaymentDeclined(AppError):
    status, slug, title = 402, "payment-declined", "The payment was declined"


class WeakPassword(InvalidRequest):
    slug, title = "weak-password", "The password is too easy to guess"


class Unauthorized(AppError):
    status, slug, title = 401, "unauthorized", "Authentication is needed"


class InvalidToken(Unauthorized):
    slug, title = "invalid-token", "The token is not valid"


class TokenExpired(InvalidToken):
    slug, title = "token-expired", "The token has expired"


class TokenReused(InvalidToken):
    slug, title = "token-reused", "The refresh token was used before"


class LoginFailed(Unauthorized):
    slug, title = "login-failed", "Email or password is wrong"


class Forbidden(Unauthorized):
    status, slug, title = 403, "forbidden", "This is not allowed"


class NotFound(AppError):
    status, slug, title = 404, "not-found", "Not found"


class ProductNotFound(NotFound):
    slug, title = "product-not-found", "Product not found"


class CategoryNotFound(NotFound):
    slug, title = "category-not-found", "Category not found"


class JobNotFound(NotFound):
    slug, title = "job-not-found", "Job not found"


class OrderNotFound(NotFound):
    slug, title = "order-not-found", "Order not found"


class NotInCart(NotFound):
    slug, title = "not-in-cart", "The product is not in the cart"


class NotInWishlist(NotFound):
    slug, title = "not-in-wishlist", "The product is not on the wishlist"


class MethodNotAllowed(AppError):
    status, slug, title = 405, "method-not-allowed", "Method not allowed"


class Conflict(AppError):
    status, slug, title = 409, "conflict", "The request conflicts with what is stored"


class IdempotencyInProgress(Conflict):
    slug, title = "request-in-progress", "A request with this idempotency key is still running"


class JobRunning(Conflict):
    slug, title = "job-running", "The job is already running"


class OutOfStock(Conflict):
    slug, title = "out-of-stock", "There is not enough in stock"


class PriceChanged(Conflict):
    slug, title = "price-changed", "The total is not what was expected"


class CartEmpty(Conflict):
    slug, title = "cart-empty", "The cart is empty"


class CartFull(Conflict):
    slug, title = "cart-full", "The cart holds no more"


class WishlistFull(Conflict):
    slug, title = "wishlist-full", "The wishlist holds no more"


class OrderStateConflict(Conflict):
    slug, title = "order-state", "The order's state does not allow this"


class EmailTaken(Conflict):
    slug, title = "email-taken", "There is an account with this email"


class UsernameTaken(Conflict):
    slug, title = "username-taken", "There is an account with this username"


class RateLimited(AppError):
    status, slug, title = 429, "rate-limited", "Too many requests"


class LockedOut(RateLimited):
    slug, title = "locked-out", "Too many failed attempts"


class Unavailable(AppError):
    status, slug, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1, **extra: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)}, **extra)


class DatabaseUnavailable(Unavailable):
    slug, title = "database-unavailable", "The database is unavailable"


class PubSubUnavailable(Unavailable):
    slug, title = "pubsub-unavailable", "Events cannot be taken right now"


class ModelUnavailable(Unavailable):
    slug, title = "model-unavailable", "No model is active yet"


class PaymentUnavailable(Unavailable):
    slug, title = "payment-unavailable", "The payment provider does not answer"


class MissingSetting(AppError):
    slug, title = "missing-setting", "A setting is missing"
