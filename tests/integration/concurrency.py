"""Work that several threads start at the same moment."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def run_concurrently(work: Callable[[T], R], arguments: Iterable[T]) -> list[R]:
    """Call ``work`` with each argument in a thread of its own, all at the same moment; return the results in order.

    Raises the first exception of ``work``, once all threads have ended.
    """
    values = list(arguments)
    barrier = threading.Barrier(len(values))

    def start(value: T) -> R:
        barrier.wait()
        return work(value)

    with ThreadPoolExecutor(len(values)) as pool:
        return list(pool.map(start, values))
