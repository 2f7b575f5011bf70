"""A shop with three kinds of users, whom the job segments tells apart."""

from shared.clients import postgres
from tests.integration.shop import StoredEvent, add_events, add_products


def add_shoppers(each: int = 20) -> None:
    """Add 12 products at 5 each, and ``each`` fans of Candles, lapsed buyers of Bags and lookers at Mugs.

    Products 1, 4, … are Bags, 2, 5, … Mugs and 3, 6, … Candles.
    """
    add_products(12, ("Candles", "Bags", "Mugs"))
    postgres.write("UPDATE products SET price = 5")
    events = []
    for number in range(each):
        events += [
            StoredEvent(f"fan{number}", 3 + 3 * ((day + number) % 4), "purchase", 24.0 * day + 1) for day in range(10)
        ]
        events.append(StoredEvent(f"lapsed{number}", 1 + 3 * (number % 4), "purchase", 24.0 * (200 + number)))
        events += [StoredEvent(f"looker{number}", 2 + 3 * (number % 4), "view", 24.0 * (20 + number)) for _ in range(3)]
    add_events(events)
    postgres.write(
        """INSERT INTO user_preferences (user_id, kind, key, score, as_of)
           SELECT e.user_id, 'category', p.category_id::text, count(*), max(e.occurred_at)
           FROM events e JOIN products p ON p.id = e.product_id GROUP BY 1, 3"""
    )


def members() -> dict[str, int]:
    """Return the segment of each user who has one, by external id."""
    rows = postgres.read("SELECT external_id, segment_id FROM user_segments JOIN users ON id = user_id ORDER BY 1")
    return {row[0]: row[1] for row in rows}
