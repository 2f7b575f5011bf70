"""Product search by one client over HTTP: no answer is cached, and each has its facets and exact total."""

import random
from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

from benchmarks.frame import RUNS, Bench, Row, median
from benchmarks.load import Measured, get, load

REQUESTS = 200
# Shops that are compared take turns after this many requests, so that whatever else the machine does slows them alike.
TURN = 10
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


def suggestions(shop: int, run: int) -> Iterator[bytes]:
    """Yield incomplete words, each with another number of trailing spaces or another k, so that none is cached."""
    for number in range(REQUESTS):
        typed = TYPED[number % len(TYPED)] + " " * (number // len(TYPED) + REQUESTS * shop // len(TYPED) + shop)
        yield get("/products/suggest?" + urlencode({"q": typed, "k": 5 + run}))


def load_in_turns(urls: Sequence[str], requests: Sequence[list[bytes]]) -> list[Measured]:
    """Send each shop its requests, TURN at a time in turns, and return what each measured. Raises RuntimeError."""
    parts: list[list[Measured]] = [[] for _url in urls]
    for begin in range(0, max(map(len, requests)), TURN):
        for url, of_shop, measured in zip(urls, requests, parts, strict=True):
            if turn := of_shop[begin : begin + TURN]:
                measured.append(load(url, turn, connections=1))
    if failures := sum(each.failures for measured in parts for each in measured):
        raise RuntimeError(f"{failures} requests failed")
    return [
        Measured(
            sum(each.seconds for each in measured),
            sorted(latency for each in measured for latency in each.latencies_ms),
            0,
        )
        for measured in parts
    ]


def measure_browsing(urls: Sequence[str], seed: int) -> list[tuple[float, float]]:
    """Return p50 and p95, in ms, of browsing each shop without a text; medians over the runs.

    ``seed`` differs between measurements that share a Redis: none is to be answered from the other's pages.
    """
    runs = []
    for run in range(-1, RUNS):
        # the shops share a Redis
        requests = [list(pages(BROWSES, 1000 * number + seed + run)) for number in range(len(urls))]
        measured = load_in_turns(urls, requests)
        if run >= 0:
            runs.append(measured)
    return [_middle(of_shop) for of_shop in zip(*runs, strict=True)]


def measure(*shops: tuple[str, int]) -> list[dict[str, tuple[float, float]]]:
    """Return p50 and p95, in ms, of each shop's searches, browsing, suggestions and single products.

    ``shops`` : the URL and the number of products of each. The figures are medians over the runs.
    """
    urls = [url for url, _products in shops]
    runs: dict[str, list[list[Measured]]] = {"search": [], "browse": [], "suggestion": [], "product": []}
    load_in_turns(urls, [list(pages(SEARCHES, -1000 * number - 1)) for number in range(len(shops))])
    for run in range(RUNS):
        requests: list[dict[str, list[bytes]]] = []
        for number, (_url, products) in enumerate(shops):
            ids = random.Random(run).sample(range(1, products + 1), min(REQUESTS, products))
            # the shops share a Redis
            seed = 1000 * number + run
            requests.append(
                {
                    "search": list(pages(SEARCHES, seed)),
                    "browse": list(pages(BROWSES, seed)),
                    "suggestion": list(suggestions(number, run)),
                    "product": [get(f"/products/{each}") for each in ids],
                }
            )
        for name, measured in runs.items():
            measured.append(load_in_turns(urls, [of_shop[name] for of_shop in requests]))
    return [
        {name: _middle([run[number] for run in measured]) for name, measured in runs.items()}
        for number in range(len(shops))
    ]


def _middle(runs: Sequence[Measured]) -> tuple[float, float]:
    return median([run.percentile(0.5) for run in runs]), median([run.percentile(0.95) for run in runs])


def rows(bench: Bench) -> list[Row]:
    """Measure searches, browsing, suggestions and single products."""
    with bench.serving("products") as url:
        figures = measure((url, bench.products))[0]
    size = f"{bench.products:,} products; typos, filters, facets and total; nothing cached"
    return [
        Row("product search, p50", figures["search"][0], "ms", 15, at_most=True, note=size),
        Row("… p95", figures["search"][1], "ms"),
        Row("… browsing without a search, p50", figures["browse"][0], "ms"),
        Row("suggestions, p50", figures["suggestion"][0], "ms", 10, at_most=True),
        Row("… p95", figures["suggestion"][1], "ms"),
        Row("one product, p50", figures["product"][0], "ms"),
    ]
