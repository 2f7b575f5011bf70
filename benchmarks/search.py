"""Product search by one client over HTTP: no answer is cached, and each has its facets and exact total."""

import random
from collections.abc import Iterator
from urllib.parse import urlencode

from benchmarks.frame import RUNS, Bench, Row, median
from benchmarks.load import get, load

REQUESTS = 200
# words of the synthetic shop: spelled correctly, several, incomplete, misspelled, with filters
SEARCHES: tuple[dict[str, str | float], ...] = (
    {"search": "lantern"},
    {"search": "lantren"},
    {"search": "bamboo lamp"},
    {"search": "vintage red kettel"},
    {"search": "headph"},
    {"search": "compact speaker", "sort": "price_asc"},
    {"search": "blak jacket", "in_stock": "true"},
    {"search": "toaster", "category": "home & kitchen"},
    {"search": "premium backpack", "min_price": 5},
    {"search": "cookbok"},
    {"search": "wood", "page": 3},
    {"search": "dog bed", "sort": "newest"},
)
BROWSES: tuple[dict[str, str | float], ...] = (
    {"category": "Garden"},
    {"category": "books", "sort": "price_desc", "page": 4},
    {"min_price": 10, "in_stock": "true"},
    {"sort": "newest"},
)
TYPED = ("l", "la", "lant", "lantern", "lantr", "hea", "headphnes", "red ke", "vintage l", "toa", "boks", "compact sp")


def pages(kinds: tuple[dict[str, str | float], ...], seed: int) -> Iterator[bytes]:
    """Yield requests that all differ, so that none is answered from Redis."""
    chance = random.Random(seed)
    for number in range(REQUESTS):
        parameters = dict(kinds[number % len(kinds)]) | {"max_price": round(chance.uniform(1e6, 1e9), 2)}
        yield get("/products?" + urlencode(parameters))


def suggestions(seed: int) -> Iterator[bytes]:
    """Yield incomplete words, each with another number of trailing spaces or another k, so that none is cached."""
    for number in range(REQUESTS):
        typed = TYPED[number % len(TYPED)] + " " * (number // len(TYPED))
        yield get("/products/suggest?" + urlencode({"q": typed, "k": 5 + seed}))


def measure_browsing(url: str, seed: int) -> tuple[float, float]:
    """Return p50 and p95, in ms, of browsing without a text; medians over the runs.

    ``seed`` differs between measurements that share a Redis: none is to be answered from the other's pages.
    """
    load(url, list(pages(BROWSES, seed + RUNS)), connections=1)
    measured = [load(url, list(pages(BROWSES, seed + run)), connections=1) for run in range(RUNS)]
    if any(each.failures for each in measured):
        raise RuntimeError("requests failed")
    return median([each.percentile(0.5) for each in measured]), median([each.percentile(0.95) for each in measured])


def measure(url: str, products: int) -> dict[str, tuple[float, float]]:
    """Return p50 and p95, in ms, of searches, browsing, suggestions and single products; medians over the runs."""
    figures: dict[str, tuple[list[float], list[float]]] = {}
    load(url, list(pages(SEARCHES, -1)), connections=1)
    for run in range(RUNS):
        ids = random.Random(run).sample(range(1, products + 1), min(REQUESTS, products))
        for name, requests in (
            ("search", list(pages(SEARCHES, run))),
            ("browse", list(pages(BROWSES, run))),
            ("suggestion", list(suggestions(run))),
            ("product", [get(f"/products/{number}") for number in ids]),
        ):
            measured = load(url, requests, connections=1)
            if measured.failures:
                raise RuntimeError(f"{measured.failures} requests failed")
            p50, p95 = figures.setdefault(name, ([], []))
            p50.append(measured.percentile(0.5))
            p95.append(measured.percentile(0.95))
    return {name: (median(p50), median(p95)) for name, (p50, p95) in figures.items()}


def rows(bench: Bench) -> list[Row]:
    """Measure searches, browsing, suggestions and single products."""
    with bench.serving("products") as url:
        figures = measure(url, bench.products)
    size = f"{bench.products:,} products; typos, filters, facets and total; nothing cached"
    return [
        Row("product search, p50", figures["search"][0], "ms", 15, at_most=True, note=size),
        Row("… p95", figures["search"][1], "ms"),
        Row("… browsing without a search, p50", figures["browse"][0], "ms"),
        Row("suggestions, p50", figures["suggestion"][0], "ms", 10, at_most=True),
        Row("… p95", figures["suggestion"][1], "ms"),
        Row("one product, p50", figures["product"][0], "ms"),
    ]
