"""Sending beside a request: it takes a bounded time, and its failure is logged, never the request's.

The platform gives an instance no processor between requests, so a message is sent before the answer; but a slow mail
server must not hold the answer for long. A send that takes longer goes on in its thread.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from contextvars import copy_context
from functools import cache
from typing import Final

from shared.clients import closed_on_reset
from shared.errors import AppError, Unavailable
from shared.gates import MAILING
from shared.mail import Mail, deliver, is_configured

log = logging.getLogger(__name__)
THREADS: Final = 8
# Seconds for which an answer waits for its message. The edge logs requests that take a second.
WAIT_S: Final = 0.9


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="mail")


@closed_on_reset
def close() -> None:
    """Finish what is being sent, and end the threads."""
    if _pool.cache_info().currsize:
        _pool().shutdown()
    _pool.cache_clear()


def attempt(work: Callable[[], Mail | None]) -> None:
    """Deliver the message that ``work`` returns, if any. Logs failures without address, link and traceback."""
    try:
        if not is_configured():
            log.info("mail is not configured; set MAIL_URL")
            return
        mail = work()
        if mail is not None:
            deliver(mail)
    except Exception as error:  # noqa: BLE001 — whatever fails here must not fail the request that it is beside
        log.error(
            "mail not sent", extra={"reason": error.detail if isinstance(error, AppError) else type(error).__name__}
        )


def _start(work: Callable[[], Mail | None]) -> Future[None]:
    """Start ``attempt`` in a thread. Raises Unavailable if too many messages are being sent."""
    place = ExitStack()
    place.enter_context(MAILING)
    # in the request's context, so that what is logged names the request
    future = _pool().submit(copy_context().run, attempt, work)
    future.add_done_callback(lambda _future: place.close())
    return future


def send(work: Callable[[], Mail | None]) -> None:
    """Send the message that ``work`` returns; return when that is done, has failed, or takes longer than WAIT_S."""
    try:
        wait([_start(work)], WAIT_S)
    except Unavailable:
        log.error("mail not sent", extra={"reason": "Too many messages are being sent at the same time."})


async def send_unseen(work: Callable[[], Mail | None]) -> None:
    """Send the message that ``work`` returns, if any; return after WAIT_S in any case.

    The time of an answer therefore does not say whether there was a message. Raises Unavailable if too many messages
    are being sent.
    """
    _start(work)
    await asyncio.sleep(WAIT_S)
