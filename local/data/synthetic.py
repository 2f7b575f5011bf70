"""A synthetic shop of any size, whose users have known tastes.

By default it has ten categories, 1,000 products, 500 users (70 % anonymous) and 50,000 events over 90 days: 80 % views,
15 % additions to the cart, 5 % purchases. Each user prefers one or two categories, which get 90 % of their events.
Recent days are busier. Every size is an option; the same options give the same shop on every day.

With ``session_events`` above 1 the events come in visits of about that many, a minute apart. ``follow`` is the share of
a visit's further events that go on from the product before, to one of three successors planted for each product.
"""

import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.data.copy_rows import event_ids, mix
from local.data.shop import PRODUCT_COLUMNS, Events, Shop
from local.errors import Refused
from shared.domain.events import EventType
from shared.validation import field_errors

Ints = npt.NDArray[np.int32]
Reals = npt.NDArray[np.float64]

CATEGORIES: Final = (
    ("Electronics", 120.0, ("Headphones", "Speaker", "Keyboard", "Charger", "Camera", "Monitor", "Tablet", "Router")),
    ("Clothing", 35.0, ("T-Shirt", "Jacket", "Jeans", "Dress", "Sweater", "Scarf", "Coat", "Shirt")),
    ("Home & Kitchen", 40.0, ("Kettle", "Pan", "Knife Set", "Blender", "Toaster", "Bowl", "Lamp", "Cushion")),
    ("Books", 14.0, ("Novel", "Cookbook", "Atlas", "Biography", "Guide", "Thriller", "Anthology", "Diary")),
    ("Sports & Outdoors", 50.0, ("Tent", "Backpack", "Yoga Mat", "Dumbbell", "Bottle", "Racket", "Helmet", "Compass")),
    ("Beauty", 20.0, ("Serum", "Shampoo", "Lipstick", "Perfume", "Cream", "Brush", "Soap", "Mask")),
    ("Toys & Games", 25.0, ("Puzzle", "Board Game", "Robot", "Doll", "Kite", "Blocks", "Train", "Plush Bear")),
    ("Garden", 30.0, ("Planter", "Trowel", "Hose", "Lantern", "Bench", "Shears", "Bird Feeder", "Rake")),
    ("Office", 18.0, ("Notebook", "Pen Set", "Desk Tray", "Stapler", "Calendar", "Whiteboard", "Folder", "Clock")),
    ("Pets", 22.0, ("Leash", "Cat Tree", "Food Bowl", "Dog Bed", "Toy Mouse", "Carrier", "Brush Mitt", "Aquarium")),
)
STYLES: Final = ("Classic", "Modern", "Vintage", "Compact", "Deluxe", "Eco", "Smart", "Essential", "Premium", "Mini")
COLOURS: Final = ("red", "blue", "green", "black", "white", "yellow", "grey", "pink")
MATERIALS: Final = ("cotton", "wood", "metal", "glass", "leather", "bamboo")
BRANDS_PER_CATEGORY: Final = 5
EVENT_TYPES: Final = (EventType.VIEW, EventType.ADD_TO_CART, EventType.PURCHASE)
_BRANDS: Final = (
    "Northwind",
    "Halden",
    "Lumora",
    "Brightwell",
    "Castor",
    "Pinecroft",
    "Velora",
    "Ostra",
    "Kestrel",
    "Maple",
)

# How often a visit that goes on from a product goes to its first, second and third successor.
SUCCESSOR_SHARES: Final = (0.6, 0.3, 0.1)
# Seconds between two events of a visit: at least this many, and less than twice as many.
PAUSE_SECONDS: Final = 40

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Options(BaseModel):
    """Sizes and proportions of the shop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    categories: Annotated[int, Field(ge=1, le=1000)] = 10
    products: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    users: Annotated[int, Field(ge=1, le=10_000_000)] = 500
    events: Annotated[int, Field(ge=0, le=100_000_000)] = 50_000
    days: Annotated[int, Field(ge=1, le=3650)] = 90
    anonymous: Share = 0.7
    # share of a user's events in their one or two preferred categories
    focus: Share = 0.9
    view: Share = 0.8
    add_to_cart: Share = 0.15
    # 0: all days are alike; 1: the density of events rises linearly from zero to its present value
    recency: Share = 1.0
    # exponent of a product's popularity by rank within its category; 0 is uniform
    skew: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 0.0
    # mean number of events of a visit; 1: every event stands alone
    session_events: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 1.0
    # share of a visit's further events that go to a planted successor of the product before
    follow: Share = 0.0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 42


def options(values: dict[str, Any]) -> Options:
    """Return the validated options. Raises Refused, which names the option, for an unknown name or a bad value."""
    try:
        chosen = Options.model_validate(values)
    except ValidationError as error:
        first = field_errors(error)[0]
        name = first["field"]
        names = ", ".join(Options.model_fields)
        why = (
            f"is not an option of the synthetic shop. The options are {names}"
            if first["type"] == "extra_forbidden"
            else first["message"]
        )
        raise Refused(f"{name}: {why}.") from None
    if chosen.view + chosen.add_to_cart > 1:
        raise Refused(
            "view and add_to_cart are shares of all events. Their sum must be at most 1; the rest are purchases."
        )
    if chosen.products < chosen.categories:
        raise Refused("products: there must be at least one for each category.")
    return chosen


def category_of(products: int, categories: int) -> Ints:
    """Return each product's category. Products of a category are consecutive; sizes differ by at most one."""
    return (np.arange(products, dtype=np.int64) * categories // products).astype(np.int32)


def catalog(chosen: Options, random: np.random.Generator, now: np.datetime64) -> pd.DataFrame:
    """Return the products; see ``Shop``."""
    category = category_of(chosen.products, chosen.categories)
    n = chosen.products
    noun, style, colour, material, brand = (
        random.integers(0, size, n) for size in (8, len(STYLES), len(COLOURS), len(MATERIALS), BRANDS_PER_CATEGORY)
    )
    spread, quantity, age = (
        random.normal(0, 0.6, n),
        random.integers(1, 200, n),
        random.integers(chosen.days, chosen.days + 365, n),
    )
    sold_out = random.random(n) < 0.03
    rows = []
    for index in range(n):
        number = int(category[index])
        base, typical, nouns = CATEGORIES[number % len(CATEGORIES)]
        name = base if number < len(CATEGORIES) else f"{base} {number // len(CATEGORIES) + 1}"
        kind, manner, hue, fabric = (
            nouns[noun[index]],
            STYLES[style[index]],
            COLOURS[colour[index]],
            MATERIALS[material[index]],
        )
        rows.append(
            (
                f"SYN-{index + 1:06d}",
                f"{manner} {hue.capitalize()} {kind} {index + 1}",
                f"{manner} {kind.lower()} in {hue}, made of {fabric}. From our {name} range.",
                str(Decimal(f"{max(typical * float(np.exp(spread[index])), 0.5):.1f}9")),
                name,
                _BRANDS[(number * 3 + int(brand[index])) % len(_BRANDS)],
                [hue, fabric, manner.lower()],
                0 if sold_out[index] else int(quantity[index]),
                True,
                now - np.timedelta64(int(age[index]), "D"),
            )
        )
    return pd.DataFrame(rows, columns=list(PRODUCT_COLUMNS))


def _products(chosen: Options, random: np.random.Generator, category: Ints) -> Ints:
    """Return a product of each given category, drawn by popularity within it."""
    starts = np.searchsorted(category_of(chosen.products, chosen.categories), np.arange(chosen.categories + 1))
    sizes = np.diff(starts)
    draw = random.random(len(category))
    if chosen.skew == 0:
        rank = (draw * sizes[category]).astype(np.int32)
    else:
        # inverse of the cumulative popularity of the largest category, cut to the size of the smaller ones
        cumulative = np.cumsum(np.arange(1, sizes.max() + 1, dtype=np.float64) ** -chosen.skew)
        rank = np.searchsorted(cumulative, draw * cumulative[sizes[category] - 1], side="right").astype(np.int32)
    chosen_products: Ints = (starts[category] + np.minimum(rank, sizes[category] - 1)).astype(np.int32)
    return chosen_products


def _ages(chosen: Options, random: np.random.Generator, count: int) -> Reals:
    """Return how many days ago each of ``count`` events was, in [0, days), oldest first.

    The density at age a is proportional to 1 − recency·a/days; the age is its inverse cumulative at a uniform draw.
    """
    draw = np.sort(random.random(count))[::-1]
    bias = chosen.recency
    share = draw if bias == 0 else (1 - np.sqrt(1 - bias * (2 - bias) * draw)) / bias
    return share * chosen.days


def _successors(chosen: Options) -> Ints:
    """Return each product's successors, of its own category, shape (n_products, 3)."""
    # of a stream of their own: without visits, the shop is what it would be if there were no successors
    random = np.random.default_rng((chosen.seed, len(SUCCESSOR_SHARES)))
    category = category_of(chosen.products, chosen.categories)
    starts = np.searchsorted(category, np.arange(chosen.categories + 1))
    first, size = starts[category], np.diff(starts)[category]
    place = np.arange(chosen.products) - first
    # other products of the category where it has others: 1 to size − 1 places further on, in a circle
    steps = 1 + (random.random((len(SUCCESSOR_SHARES), chosen.products)) * np.maximum(size - 1, 1)).astype(np.int64)
    successors: Ints = (first + (place + steps) % size).T.astype(np.int32)
    return successors


def _visit_starts(chosen: Options, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the position of the first event of each event's visit, shape (n_events,), ascending."""
    n_visits = max(1, round(chosen.events / chosen.session_events))
    visit = np.sort(random.integers(0, n_visits, chosen.events))
    return np.searchsorted(visit, visit)


def _go_on(
    chosen: Options,
    random: np.random.Generator,
    starts: npt.NDArray[np.int64],
    product: Ints,
    successors: Ints,
) -> tuple[Ints, Reals]:
    """Return the product and the age in days of each event of the visits that begin at ``starts``.

    product : of each event if it did not go on from the one before, shape (n_events,).
    """
    place = np.arange(chosen.events) - starts
    goes_on = (place > 0) & (random.random(chosen.events) < chosen.follow)
    choice = np.searchsorted(np.cumsum(SUCCESSOR_SHARES)[:-1], random.random(chosen.events), side="right")
    product = product.copy()
    for at in range(1, int(place.max(initial=0)) + 1):
        events = np.flatnonzero(goes_on & (place == at))
        product[events] = successors[product[events - 1], choice[events]]
    seconds = random.uniform(PAUSE_SECONDS, 2 * PAUSE_SECONDS, chosen.events).cumsum()
    # a visit that is not over yet ends now
    first, visit = np.unique(starts, return_inverse=True)
    ages = _ages(chosen, random, len(first))[visit] - (seconds - seconds[starts]) / 86_400
    return product, np.maximum(ages, 0.0)


def make(values: dict[str, Any] | None = None, now: datetime | None = None) -> Shop:
    """Return the shop as of ``now``. Time and memory are linear in its sizes: about 100 bytes and 0.5 µs per event.

    Raises Refused for an unknown option or a bad value.
    """
    chosen = options(values or {})
    random = np.random.default_rng(chosen.seed)
    moment = np.datetime64((now or datetime.now(UTC)).replace(tzinfo=None, microsecond=0), "s")
    products = catalog(chosen, random, moment)
    anonymous = random.permutation(chosen.users) < round(chosen.users * chosen.anonymous)
    users = pd.DataFrame(
        {"external_id": [f"user-{number}" for number in range(1, chosen.users + 1)], "is_anonymous": anonymous}
    )

    first = random.integers(0, chosen.categories, chosen.users, dtype=np.int32)
    # half of the users prefer a second category
    another = (first + random.integers(1, max(chosen.categories, 2), chosen.users, dtype=np.int32)) % chosen.categories
    second = np.where(random.random(chosen.users) < 0.5, first, another).astype(np.int32)

    user = random.integers(0, chosen.users, chosen.events, dtype=np.int32)
    starts = _visit_starts(chosen, random) if chosen.session_events > 1 else None
    if starts is not None:
        user = user[starts]
    category = np.where(random.random(chosen.events) < 0.5, first[user], second[user])
    elsewhere = random.random(chosen.events) >= chosen.focus
    category[elsewhere] = random.integers(0, chosen.categories, int(elsewhere.sum()), dtype=np.int32)
    kind = np.searchsorted(
        [chosen.view, chosen.view + chosen.add_to_cart], random.random(chosen.events), side="right"
    ).astype(np.int8)
    tastes = np.full((chosen.users, chosen.categories), (1 - chosen.focus) / chosen.categories)
    for preferred in (first, second):
        tastes[np.arange(chosen.users), preferred] += chosen.focus / 2
    product = _products(chosen, random, category)
    successors = None
    if starts is None:
        ages = _ages(chosen, random, chosen.events)
    else:
        successors = _successors(chosen)
        product, ages = _go_on(chosen, random, starts, product, successors)
        order = np.argsort(-ages, kind="stable")
        user, product, ages = user[order], product[order], ages[order]
    index = np.arange(chosen.events)
    shape = mix(np.array([hash_of(chosen)], np.uint64))[0]
    return Shop(
        products=products,
        users=users,
        event_types=tuple(event_type.value for event_type in EVENT_TYPES),
        tastes=tastes,
        successors=successors,
        events=Events(
            # the same shop has the same event ids on every day
            ids=event_ids(index, mix(index, 1) ^ shape, mix(index, 2) ^ shape),
            user=user,
            product=product,
            event_type=kind,
            quantity=np.ones(chosen.events, np.int32),
            occurred_at=(moment - np.timedelta64(1, "s")).astype("datetime64[us]")
            - (ages * 86_400e6).astype("timedelta64[us]"),
        ),
    )


def hash_of(chosen: Options) -> int:
    """Return a number that differs between shops of different options, in [0, 2^32)."""
    # shops without visits keep the numbers that they had before there were any
    visits = {"session_events", "follow"}
    excluded = visits if chosen.session_events == 1 else set()
    return zlib.crc32(chosen.model_dump_json(exclude=excluded).encode())
