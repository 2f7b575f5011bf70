"""Exact titles, stock codes and mistyped titles of the shipped shop: how far in front is the product that was meant.

The shop is loaded without its history, so that no popularity helps.
"""

import json
import random
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.database import scratch
from benchmarks.frame import Bench, Row

SEED = 11


def mistyped(title: str, chance: random.Random) -> str:
    """Return a title with one typing error: a letter left out, added, replaced, or swapped with its neighbour."""
    place = chance.choice([position for position, character in enumerate(title) if character.isalnum()])
    letter = chance.choice(string.ascii_lowercase)
    before, here, after = title[:place], title[place], title[place + 1 :]
    return before + chance.choice((after, letter + here + after, letter + after, after[:1] + here + after[1:]))


@contextmanager
def shipped_shop(bench: Bench) -> Iterator[list[tuple[str, str]]]:
    """Load the shipped shop's catalog into a database of its own; yield the code and title of its active products."""
    from local.data.online_retail.shop import make
    from local.data.store import store
    from shared.clients import postgres

    with scratch("aisle_bench_titles"):
        shop = make()
        nothing = {name: getattr(shop.events, name)[:0] for name in ("user", "product", "event_type", "quantity")}
        events = replace(shop.events, ids=shop.events.ids[:0], occurred_at=shop.events.occurred_at[:0], session_id=None)
        store(replace(shop, users=shop.users[:0], events=replace(events, **nothing)), bench.say)
        rows = postgres.read("SELECT external_id, name FROM products WHERE is_active ORDER BY id")
        yield [(row[0], row[1]) for row in rows]


def place_of(text: str, wanted: str, field: str) -> int:
    """Return the place, from 1, of the first product whose ``field`` is ``wanted``; 101 beyond the first hundred."""
    from shared.storage.catalog.product_pages import Filters, Page, find

    products = json.loads(find(Filters(search=text), Page(size=100)))["products"]
    return next((place for place, product in enumerate(products, 1) if product[field] == wanted), 101)


def share(places: Sequence[int], most: int) -> float:
    """Return the percentage of places up to ``most``."""
    return 100 * sum(place <= most for place in places) / len(places)


def rows(bench: Bench) -> list[Row]:
    """Search for every title, stock code, and title with a typing error."""
    chance = random.Random(SEED)
    with shipped_shop(bench) as products:
        titles = [(title, place_of(title, title, "name")) for _code, title in products]
        codes = [place_of(code, code, "external_id") for code, _title in products]
        typos = [place_of(mistyped(title, chance), title, "name") for _code, title in products]
    every = [place for _title, place in titles]
    punctuated = [place for title, place in titles if not all(c.isalnum() or c == " " for c in title)]
    size = f"{len(products):,} titles of the shipped shop"
    return [
        Row("exact title in first place", share(every, 1), "%", 99, note=size),
        Row("… in the first three", share(every, 3), "%", 100),
        Row("… with punctuation, in the first three", share(punctuated, 3), "%", 100, note=f"{len(punctuated)} titles"),
        Row("stock code in first place", share(codes, 1), "%", 100),
        Row("title with one typing error, in the first ten", share(typos, 10), "%", note=f"seed {SEED}"),
    ]
