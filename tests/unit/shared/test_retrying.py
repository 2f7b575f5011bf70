"""What failed is tried again until nothing is left, whatever is added meanwhile, and the thread then ends."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from shared.retrying import Retry

Make = Callable[[Callable[[], bool]], Retry]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:

        def retry(work: Callable[[], bool]) -> Retry:
            made = Retry("a-retry-of-a-test", 0.01, work)
            stack.callback(made.stop)
            return made

        yield retry


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "a-retry-of-a-test"]


def wait_until(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 30
        time.sleep(0.005)


def test_work_is_repeated_until_nothing_is_left_and_the_thread_ends(make: Make) -> None:
    left = [3]

    def work() -> bool:
        left[0] -= 1
        return left[0] > 0

    retry = make(work)
    assert threads() == []
    retry.start()
    wait_until(lambda: not threads())
    assert left == [0]
    # and again, with a new thread
    left[0] = 2
    retry.start()
    wait_until(lambda: not threads())
    assert left == [0]


def test_work_that_raises_is_repeated(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []

    def work() -> bool:
        runs.append(len(runs))
        if len(runs) < 3:
            raise OSError("away")
        return False

    make(work).start()
    wait_until(lambda: len(runs) == 3 and not threads())
    logged = [(record.getMessage(), vars(record)["work"]) for record in caplog.records]
    assert logged == [("retry failed", "a-retry-of-a-test")] * 2


def test_what_is_added_while_the_work_runs_is_done_too(make: Make) -> None:
    runs: list[int] = []

    def work() -> bool:
        runs.append(len(runs))
        if len(runs) == 1:
            # after this run has looked at what there is
            retry.start()
            assert len(threads()) == 1
        return False

    retry = make(work)
    retry.start()
    wait_until(lambda: not threads())
    assert len(runs) == 2


def test_the_first_attempt_waits_for_the_pause(make: Make) -> None:
    runs: list[float] = []
    retry = make(lambda: bool(runs.append(time.monotonic())))
    retry.pause_s = 0.3
    began = time.monotonic()
    retry.start()
    wait_until(lambda: bool(runs))
    assert runs[0] - began >= 0.3


def test_a_stopped_retry_does_nothing_more_and_can_be_started_again(make: Make) -> None:
    is_running, may_end = threading.Event(), threading.Event()
    runs: list[int] = []

    def work() -> bool:
        runs.append(len(runs))
        is_running.set()
        return may_end.wait(30)

    retry = make(work)
    retry.start()
    assert is_running.wait(30)
    threading.Timer(0.1, may_end.set).start()
    retry.stop()
    # it waited for the run under way, which had something left
    assert (threads(), runs) == ([], [0])
    is_running.clear()
    retry.start()
    assert is_running.wait(30)


def test_work_that_is_added_while_a_thread_is_being_stopped_is_done(make: Make) -> None:
    is_running, may_end = threading.Event(), threading.Event()
    runs: list[int] = []

    def work() -> bool:
        runs.append(len(runs))
        is_running.set()
        may_end.wait(30)
        return False

    retry = make(work)
    retry.start()
    assert is_running.wait(30)
    stopping = threading.Thread(target=retry.stop)
    stopping.start()
    # stop() has let go of the thread and waits for its end
    wait_until(lambda: retry._thread is None)
    retry.start()
    may_end.set()
    stopping.join(30)
    wait_until(lambda: len(runs) == 2)
