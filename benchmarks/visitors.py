"""What visitors and customers of a running shop are shown: ``eval "$(./aisle env)"; python -m benchmarks.visitors``.

New visitors view one product, and then two more, through the HTTP functions of ``--url``. Their lists are compared with
that of a stranger. The products are drawn in proportion to their purchases, as visitors arrive, and then each alike.
Customers are drawn at random. Only reads the tables, to draw; the visitors stay in the shop.
"""

import argparse
import random
import sys
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from benchmarks.__main__ import table
from benchmarks.frame import Row
from delivery import http

K: Final = 10
VISITORS, CUSTOMERS, SEED = 30, 20, 7
VIEWS: Final = 3
EFFECT_TIMEOUT_S: Final = 30.0
PRODUCTS: Final = """
SELECT p.id, coalesce(s.purchase_count, 0) FROM products p LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.is_active ORDER BY p.id
"""
BUYERS: Final = """
SELECT u.external_id, array_agg(b.product_id) FROM user_purchases b JOIN users u ON u.id = b.user_id
GROUP BY u.id ORDER BY u.id
"""


class Shop:
    """The HTTP functions of a running system."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, body: Any = None) -> Any:
        """Return the JSON of an answer. Waits while requests are too many; raises RuntimeError for any other error."""
        while True:
            answer = http.get(self.url + path) if body is None else http.post(self.url + path, body)
            if answer.status != 429:
                break
            time.sleep(1)
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {answer.status} {answer.text(300)}")
        return answer.json()

    def recommend(self, user_id: str) -> list[int]:
        """Return the ids of a user's recommendations."""
        answer = self.call(f"/recommendations?{urlencode({'user_id': user_id, 'k': K})}")
        return [product["id"] for product in answer["recommendations"]]

    def view(self, user_id: str, product_id: int) -> None:
        """Send a view and wait until it has its effect. Raises RuntimeError if it has none."""
        self.call("/events", {"user_id": user_id, "product_id": product_id, "event_type": "view"})
        deadline = time.monotonic() + EFFECT_TIMEOUT_S
        while time.monotonic() < deadline:
            viewed = self.call(f"/recently-viewed?{urlencode({'user_id': user_id, 'k': VIEWS})}")["products"]
            if any(product["id"] == product_id for product in viewed):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the view of product {product_id} had no effect within {EFFECT_TIMEOUT_S:.0f} s")


def visitors(shop: Shop, drawn: Sequence[Sequence[int]], kind: str, run: str) -> list[Row]:
    """Measure new visitors, each of whom views these products."""
    same = dict.fromkeys((1, VIEWS), 0)
    just_viewed = dict.fromkeys((1, VIEWS), 0)
    for number, products in enumerate(drawn):
        user_id = f"bench-{run}-{kind}-{number}"
        anonymous = set(shop.recommend(f"{user_id}-stranger"))
        for views, product_id in enumerate(products, start=1):
            shop.view(user_id, product_id)
            if views in same:
                shown = shop.recommend(user_id)
                same[views] += len(anonymous & set(shown))
                just_viewed[views] += len(set(products[:views]) & set(shown))
    rows = []
    for views, target in ((1, 2.0), (VIEWS, 1.5)):
        name = f"after {views} view{'s' if views > 1 else ''} of {kind} products"
        note = f"mean of {len(drawn)} visitors"
        rows.append(Row(f"{name}: as for a stranger", same[views] / len(drawn), f"of {K}", target, True, note))
        rows.append(Row(f"{name}: just viewed", just_viewed[views] / len(drawn), f"of {K}", 0, True, note))
    return rows


def customers(shop: Shop, buyers: Sequence[tuple[str, list[int]]]) -> Row:
    """Measure how many places hold a product that the customer bought before."""
    bought = sum(len(set(products) & set(shop.recommend(user_id))) for user_id, products in buyers)
    places = K * len(buyers)
    return Row("known customers: bought before", bought, f"of {places}", 0, True, f"{len(buyers)} customers")


def main() -> int:
    """Print the figures beside their targets. Exit code 1 if one is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.visitors", description=__doc__)
    parser.add_argument("--url", default="http://localhost:8080")
    options = parser.parse_args()
    from shared.clients.postgres import read

    shop, drawing = Shop(options.url), random.Random(SEED)
    products = [(int(product_id), int(purchases)) for product_id, purchases in read(PRODUCTS)]
    ids, weights = [product[0] for product in products], [product[1] for product in products]
    popular = [draw(drawing, ids, weights) for _ in range(VISITORS)]
    any_products = [drawing.sample(ids, VIEWS) for _ in range(VISITORS)]
    buyers = drawing.sample([(str(user_id), list(bought)) for user_id, bought in read(BUYERS)], CUSTOMERS)
    run = f"{time.time():.0f}"
    rows = [
        *visitors(shop, popular, "popular", run),
        *visitors(shop, any_products, "any", run),
        customers(shop, buyers),
    ]
    print(table(rows))
    return 1 if any(row.reached is False for row in rows) else 0


def draw(drawing: random.Random, ids: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Return VIEWS different products, in proportion to their weights."""
    drawn: dict[int, None] = {}
    while len(drawn) < VIEWS:
        drawn[drawing.choices(ids, weights)[0]] = None
    return list(drawn)


if __name__ == "__main__":
    sys.exit(main())
