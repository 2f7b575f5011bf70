"""Which events count towards what all shoppers see: trending, popular, products bought together, and the model.

For its own user, every event counts at once. For what all shoppers see, an event that nothing vouches for is limited,
so that a client cannot push a product: it counts once per visitor, product, type and day; at most ``MAX_PER_CLIENT``
times per client, product, type and day; and a purchase only after the visitor viewed the product or added it to the
cart. Events of declared crawlers, and of visitors at rates that no person reaches, do not count at all. docs/events.md
states what the limits achieve.
"""

import re
from typing import Final

# Events of one type with one product that count per client and day.
MAX_PER_CLIENT: Final = 3
# User agents are hashed to this many groups, since a client may invent any number of them: one address can count at
# most AGENT_GROUPS x MAX_PER_CLIENT times.
AGENT_GROUPS: Final = 8
# A visitor with more events in a minute is treated as a machine for the rest of the day. Purchases are not counted
# here, because one order may have hundreds of lines.
MAX_EVENTS_PER_MINUTE: Final = 120
# Maximum age of the view or add-to-cart that lets a purchase count.
SEEN_WITHIN_DAYS: Final = 30

# In the user agents of bots, "bot" ends a word (Googlebot/2.1, GPTBot), but Cubot makes phones. HTTP libraries such as
# python-requests do not call themselves bots.
_CRAWLER: Final = re.compile(
    r"(?<!cu)bots?(?![a-z])|crawl|spider|slurp|archiver|mediapartners|externalhit", re.IGNORECASE
)


def is_crawler(user_agent: str) -> bool:
    """Return whether a user agent identifies itself as a crawler."""
    return _CRAWLER.search(user_agent) is not None
