"""Histories for tests."""

import numpy as np

from jobs.data.history import History

START = np.datetime64("2026-01-01T00:00:00", "us")


def history(*events: tuple[int, int, float, float], users: int | None = None, items: int | None = None) -> History:
    """Return the history of ``(user, item, weight, day)``, in these codes."""
    return History(
        np.arange(users or 1 + max(event[0] for event in events)),
        np.arange(items or 1 + max(event[1] for event in events)),
        np.asarray([event[0] for event in events], np.int32),
        np.asarray([event[1] for event in events], np.int32),
        np.asarray([event[2] for event in events], np.float32),
        START + (np.asarray([event[3] for event in events]) * 86_400e6).astype("timedelta64[us]"),
    )


def shop(users: int = 120, items: int = 60, events: int = 4000, *, days: float = 90, seed: int = 0) -> History:
    """Return a shop of two kinds of users, each with a kind of products of its own, nine times out of ten."""
    random = np.random.default_rng(seed)
    user = random.integers(0, users, events)
    kind = np.where(random.random(events) < 0.9, user % 2, 1 - user % 2)
    # a few products of each kind sell better
    item = 2 * np.minimum((random.random(events) ** 2 * (items // 2)).astype(int), items // 2 - 1) + kind
    weights = random.choice([1.0, 3.0, 5.0], events, p=[0.6, 0.2, 0.2])
    times = START + (np.sort(random.random(events)) * days * 86_400e6).astype("timedelta64[us]")
    return History(
        np.arange(users),
        np.arange(items),
        user.astype(np.int32),
        item.astype(np.int32),
        weights.astype(np.float32),
        times,
    )
