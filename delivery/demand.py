"""What a shop asks for at its busiest time: the input of the capacity plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# How often each request comes, of 100: the mix that `./aisle stress` sends.
MIX: Final[Mapping[str, float]] = {
    "recommendations": 35,
    "product": 20,
    "search": 10,
    "trending": 5,
    "event": 20,
    "cart": 6,
    "checkout": 4,
}
# requests of the mix that Redis may answer: the operations of a hit, and of a miss
CACHED: Final[Mapping[str, tuple[str, str]]] = {
    "recommendations": ("recommendations_cached", "recommendations_computed"),
    "product": ("product_cached", "product_computed"),
}
UNCACHED: Final[Mapping[str, str]] = {
    "search": "search",
    "trending": "trending_cached",
    "event": "event_accepted",
    "cart": "cart_filled",
    "checkout": "checkout",
}
# operations that grow with the catalog: docs/benchmarks.md has their growth for ten times the products
GROWING: Final = frozenset({"search"})
# the catalog that the costs were measured with
MEASURED_PRODUCTS: Final = 10_000
# the loads that are planned for, in requests/s
LEAST_REQUESTS: Final = 0.01
MOST_REQUESTS: Final = 1e6


def format_exactly(value: float) -> str:
    """Return a number to 15 digits, so that a refused value never looks equal to its bound."""
    return f"{value:,.15g}"


class InvalidDemand(ValueError):
    """A demand that cannot be; the message names the option, the rule and the remedy."""


@dataclass(frozen=True)
class Demand:
    """What a shop asks for, at its busiest time.

    requests_per_s : requests that functions answer, those of events included; what a CDN answers does not count.
    events_per_s : of these, requests with an event; by default the share of MIX.
    cached_share : of recommendations and product pages, those that Redis answers.
    peak_ratio : requests at the peak, against the mean of the month.
    """

    requests_per_s: float
    products: int = 10_000
    users: int = 100_000
    events_per_s: float | None = None
    cached_share: float = 0.6
    peak_ratio: float = 3.0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("requests_per_s", LEAST_REQUESTS, MOST_REQUESTS),
            ("products", 1, 1e7),
            ("users", 1, 1e9),
            ("cached_share", 0, 1),
            ("peak_ratio", 1, 1000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                allowed = f"{format_exactly(least)} to {format_exactly(most)}"
                raise InvalidDemand(f"--{name.replace('_', '-')} must be from {allowed}, not {format_exactly(value)}.")
        if not 0 <= self.events <= self.requests_per_s:
            raise InvalidDemand(
                f"--events-per-s must be from 0 to --requests-per-s ({format_exactly(self.requests_per_s)}), "
                f"which includes events, not {format_exactly(self.events)}."
            )

    @property
    def events(self) -> float:
        """Requests with an event, each second."""
        if self.events_per_s is None:
            return self.requests_per_s * MIX["event"] / sum(MIX.values())
        return self.events_per_s


# The demands that terraform/envs/requests-….tfvars are written for.
PROFILES: Final = (
    Demand(100, products=10_000, users=100_000),
    Demand(1_000, products=100_000, users=1_000_000),
    Demand(10_000, products=1_000_000, users=10_000_000),
)
