"""Which events count in what all shoppers see: trending, popular, products bought together, and the model.

Every event counts at once for its own user. In what all shoppers see, an event that nothing vouches for is bounded, so
that a client cannot push a product: once per visitor, product, type and day; at most ``MAX_PER_CLIENT`` times per
client, product, type and day; a purchase only after the visitor viewed or carted the product. Events of declared
crawlers, and of visitors at rates that no person has, do not count at all. docs/events.md states what the bounds reach.
"""

import re
from typing import Final

# events of one type with one product that count per client and day
MAX_PER_CLIENT: Final = 3
# User agents are told apart by this many groups, since a client may invent any number of agents: one address reaches
# at most AGENT_GROUPS x MAX_PER_CLIENT.
AGENT_GROUPS: Final = 8
# A visitor with more events in a minute is a machine for the rest of the day. Purchases are left out: one order may
# have hundreds of lines.
MAX_EVENTS_PER_MINUTE: Final = 120
# age of the view or addition to the cart that lets a purchase count
SEEN_WITHIN_DAYS: Final = 30

# "bot" ends a word in the agents of bots (Googlebot/2.1, GPTBot); Cubot makes phones. Libraries of programs, such as
# python-requests, do not call themselves bots.
_CRAWLER: Final = re.compile(
    r"(?<!cu)bots?(?![a-z])|crawl|spider|slurp|archiver|mediapartners|externalhit", re.IGNORECASE
)


def is_crawler(user_agent: str) -> bool:
    """Return whether a user agent calls itself a crawler."""
    return _CRAWLER.search(user_agent) is not None
