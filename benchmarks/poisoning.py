"""What counts: how far made-up visitors push a product, and what the bounds cost a shop of browsers.

Both parts send their events through the statements that store events and count purchases.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.frame import Bench, Row
from jobs.data.history import History
from jobs.models.cosine import cosine_neighbours
from jobs.offline.metrics import score_users
from jobs.offline.split import select_events, split_last_days
from local.data.synthetic import make
from shared.clients import postgres
from shared.domain.counting import AGENT_GROUPS, MAX_PER_CLIENT
from shared.domain.events import EVENT_WEIGHTS, EventType, uuid7
from shared.event_origin import Origin, client_key
from shared.http.client_address import client_address, network_of
from shared.storage.events import ingestion, purchase_counts
from shared.storage.recommending.popular import most_bought

VISITORS: Final = 10_000
ADDRESSES: Final = 200
THREADS: Final = 8
# what a visitor who is made up to push a product does
PUSH: Final = (
    EventType.VIEW,
    EventType.RECOMMENDATION_CLICK,
    EventType.WISHLIST,
    EventType.ADD_TO_CART,
    EventType.PURCHASE,
)
HOLDOUT_DAYS: Final = 7
K: Final = 20
SEEDS: Final = (1, 2, 3)
LOSS_MAX: Final = 0.05
# options of local/data/synthetic.py; few enough users that most of them come back
SHOP: Final = {"users": 200, "events": 15_000, "days": 60, "skew": 0.8}
PRODUCTS: Final = 300
# Clients of a shop's visitors: their own address, a mobile network's, or an office's. The agents are browsers' with
# their shares.
NETWORKS: Final = {"home": 0.6, "mobile": 0.25, "office": 0.15}
MOBILE_NETWORKS: Final = 5
OFFICES: Final = 10
AGENTS: Final = {f"browser {number}": share for number, share in enumerate((0.35, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05))}


class Pushed(NamedTuple):
    """What an attack reached: purchases in popular, and score in trending on the same day."""

    purchases: int
    score: float


def message(
    product_events: Sequence[tuple[int, str, datetime]], event_ids: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return events as ``ingestion.store`` takes them."""
    return [
        {
            "position": position,
            "event_id": str(uuid7()) if event_ids is None else event_ids[position],
            "product_id": product_id,
            "event_type": event_type,
            "quantity": 1,
            "occurred_at": at.isoformat(),
            "session_id": None,
            "metadata": None,
        }
        for position, (product_id, event_type, at) in enumerate(product_events)
    ]


def attack(product_id: int, addresses: Sequence[str], *, visitors: int, agents: int, day: date | None = None) -> Pushed:
    """Let made-up visitors from these addresses push a product; each views, clicks, wishes for, carts and buys it.

    Returns what they reached together. The visitors have ``agents`` invented user agents.
    """
    today = day or datetime.now(UTC).date()
    before = _reached(product_id)

    def visit(number: int) -> None:
        network = network_of(client_address([], addresses[number % len(addresses)], 0))
        origin = Origin(client=client_key(network, f"agent {number // len(addresses) % agents}", today))
        now = datetime.now(UTC)
        events = message([(product_id, kind.value, now + timedelta(seconds=s)) for s, kind in enumerate(PUSH)])
        visitor = f"visitor-{uuid7()}"
        ingestion.store(str(uuid7()), visitor, events, origin, day=today)
        purchase_counts.count(visitor, events, origin, day=today)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(visit, range(visitors)))
    after = _reached(product_id)
    return Pushed(after.purchases - before.purchases, after.score - before.score)


def _reached(product_id: int) -> Pushed:
    counts = postgres.read(
        "SELECT event_type, sum(event_count) FROM event_counts_hourly WHERE product_id = :id GROUP BY 1", id=product_id
    )
    purchases = postgres.read("SELECT purchase_count FROM product_stats WHERE product_id = :id", id=product_id)
    return Pushed(
        int(purchases[0][0]) if purchases else 0,
        sum(EVENT_WEIGHTS[EventType(event_type)] * int(number) for event_type, number in counts),
    )


@dataclass(frozen=True)
class BrowserShop:
    """A made-up shop whose visitors come from browsers: its events in time order, and each user's client.

    ``products`` are the product ids that the history's items stand for; ``types`` the event's type.
    """

    history: History
    types: NDArray[np.str_]
    clients: tuple[tuple[str, str], ...]


def browser_shop(
    options: Mapping[str, Any], product_ids: Sequence[int], networks: Mapping[str, float] = NETWORKS
) -> BrowserShop:
    """Return a synthetic shop in which a visitor views a product before carting or buying it, as browsers do.

    ``networks`` are the shares of visitors by the kind of network that they come from.
    """
    shop = make(dict(options) | {"products": len(product_ids)})
    events = shop.events
    types = np.asarray(shop.event_types)[events.event_type]
    acts = types != EventType.VIEW.value
    times = np.concatenate([events.occurred_at, events.occurred_at[acts] - np.timedelta64(120_000_000, "us")])
    users = np.concatenate([events.user, events.user[acts]])
    items = np.concatenate([events.product, events.product[acts]])
    kinds = np.concatenate([types, np.full(acts.sum(), EventType.VIEW.value)])
    order = np.argsort(times, kind="stable")
    weights = np.asarray([EVENT_WEIGHTS[EventType(kind)] for kind in kinds[order]], np.float32)
    history = History(
        np.arange(len(shop.users)),
        np.asarray(product_ids, np.int64),
        users[order].astype(np.int32),
        items[order].astype(np.int32),
        weights,
        times[order],
    )
    return BrowserShop(history, kinds[order], tuple(_clients(len(shop.users), networks)))


def _clients(users: int, networks: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield a network and a user agent for each user."""
    random = np.random.default_rng(7)
    for user in range(users):
        kind = random.choice(list(networks), p=list(networks.values()))
        number = {"home": user, "mobile": random.integers(MOBILE_NETWORKS), "office": random.integers(OFFICES)}[kind]
        yield f"{kind} {number}", str(random.choice(list(AGENTS), p=list(AGENTS.values())))


def replay(shop: BrowserShop, name: str) -> NDArray[np.bool_]:
    """Send the events of a shop as they came, a message per user and day; return which of them count."""
    history = shop.history
    days = history.times.astype("datetime64[D]")
    order = np.lexsort((np.arange(len(history)), history.users, days))
    ids = [str(uuid7()) for _ in range(len(history))]

    def key(place: np.int64) -> tuple[date, int]:
        return days[place].astype(date), int(history.users[place])

    for (day, user), group in groupby(order, key):
        places = list(group)
        network, agent = shop.clients[user]
        events = message(
            [
                (
                    int(history.product_ids[history.items[place]]),
                    str(shop.types[place]),
                    history.times[place].astype("datetime64[us]").astype(datetime).replace(tzinfo=UTC),
                )
                for place in places
            ],
            [ids[place] for place in places],
        )
        origin = Origin(client=client_key(network, agent, day))
        ingestion.store(str(uuid7()), f"{name}-{user}", events, origin, day=day)
    counted = {
        str(row[0])
        for row in postgres.read(
            "SELECT event_id FROM events JOIN users u ON u.id = user_id WHERE counted AND u.external_id LIKE :name",
            name=f"{name}-%",
        )
    }
    return np.asarray([event_id in counted for event_id in ids])


def ndcg(history: History, counted: NDArray[np.bool_]) -> float:
    """Return NDCG@20 of the last days for users' whole profiles and a model of the events that count."""
    split = split_last_days(history, HOLDOUT_DAYS, new_only=False)
    trained = select_events(history, counted & (history.times <= split.now))
    neighbours = cosine_neighbours(trained.user_items(), 50)
    items = len(history.product_ids)
    rows = np.repeat(np.arange(items), neighbours.indices.shape[1])
    listed = neighbours.indices.ravel() >= 0
    scores = (rows[listed], neighbours.indices.ravel()[listed])
    similarity = sparse.csr_array((neighbours.scores.ravel()[listed], scores), shape=(items, items))
    profiles = split.train.user_items()[split.users]
    popularity = np.bincount(trained.items, weights=trained.weights, minlength=items)
    # the user's own products and, where the neighbours say nothing, what is popular
    ranked = (profiles @ similarity).toarray() + profiles.toarray() + 1e-6 * popularity / popularity.max()
    answers = np.argsort(-ranked, axis=1, kind="stable")[:, :K].astype(np.int64)
    return float(score_users(answers, split.relevant[split.users])[f"ndcg@{K}"].mean())


def loss(shop: BrowserShop, name: str) -> tuple[float, float]:
    """Return the share of NDCG@20 that the bounds cost, and the share of purchases that count."""
    counted = replay(shop, name)
    full = ndcg(shop.history, np.ones(len(shop.history), bool))
    bought = shop.types == EventType.PURCHASE.value
    return 1 - ndcg(shop.history, counted) / full, float(counted[bought].mean())


def rows(_bench: Bench) -> list[Row]:
    """Push four products, and replay shops whose purchases all come unvouched from browsers."""
    ids = [
        row[0]
        for row in postgres.read("SELECT id FROM products WHERE is_active ORDER BY id LIMIT :number", number=PRODUCTS)
    ]
    single = ["198.51.100.7"]
    same = [f"203.0.113.{number}" for number in range(ADDRESSES)]
    apart = [f"10.{number}.0.1" for number in range(ADDRESSES)]
    bound = MAX_PER_CLIENT * AGENT_GROUPS
    results = []
    for place, (name, addresses, agents, most) in enumerate(
        (
            ("one address, one user agent", single, 1, MAX_PER_CLIENT),
            ("one address, invented user agents", single, VISITORS, bound),
            (f"{ADDRESSES} addresses of one /24, invented user agents", same, VISITORS, bound),
            (f"{ADDRESSES} networks, invented user agents", apart, VISITORS, bound * ADDRESSES),
        )
    ):
        pushed = attack(ids[place], addresses, visitors=VISITORS, agents=agents)
        note = f"trending score {pushed.score:,.0f}; {VISITORS:,} visitors"
        results.append(Row(f"purchases pushed a day from {name}", pushed.purchases, "", most, at_most=True, note=note))
    best = most_bought(1)[0]
    results.append(Row("purchases of the most popular product", best[1], ""))
    losses, shares = zip(*(loss(browser_shop(SHOP | {"seed": seed}, ids), f"s{seed}") for seed in SEEDS), strict=True)
    results.append(Row("NDCG@20 lost by the bounds", float(np.mean(losses)) * 100, "%", LOSS_MAX * 100, at_most=True))
    results.append(Row("purchases from browsers that count", float(np.mean(shares)) * 100, "%"))
    crowded = loss(browser_shop(SHOP | {"seed": SEEDS[0]}, ids, {"mobile": 1.0}), "crowded")
    note = f"all visitors in {MOBILE_NETWORKS} networks; {crowded[1]:.1%} of the purchases count"
    results.append(Row("NDCG@20 lost by the bounds", crowded[0] * 100, "%", LOSS_MAX * 100, at_most=True, note=note))
    return results
