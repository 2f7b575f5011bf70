"""A part that ends is started again after a pause that grows, and not for ever."""

import subprocess
from pathlib import Path

import pytest

from local.errors import CommandError
from local.processes import Part
from local.restarts import FIRST_PAUSE_S, MAX_PAUSE_S, MAX_RESTARTS, STEADY_S, Restarts

LOG = Path("/no/such.log")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def restarts(clock: Clock, said: list[str]) -> Restarts:
    return Restarts(said.append, clock)


def ended(name: str = "Gateway", code: int = 3) -> Part:
    """Return a part whose program has ended with this exit code."""
    process = subprocess.Popen(["/bin/sh", "-c", f"exit {code}"])
    process.wait()
    return Part(name, process, LOG)


def running(name: str = "Gateway") -> Part:
    return Part(name, subprocess.Popen(["/bin/sleep", "60"]), LOG)


def end(part: Part) -> None:
    part.process.kill()
    part.process.wait()


def test_it_is_started_again_after_the_pause(restarts: Restarts, clock: Clock, said: list[str]) -> None:
    part, successor = ended(), running()
    bystander = running("Redis")
    assert not restarts.check(part, lambda: successor)
    clock.now += FIRST_PAUSE_S - 0.01
    assert not restarts.check(part, lambda: successor)
    clock.now += 0.01
    assert restarts.check(part, lambda: successor)
    assert (part.pid, part.running()) == (successor.pid, True)
    assert not restarts.check(bystander, ended)
    assert said == [
        f"Gateway ended with exit code 3. It is started again in 0.5 s (1 of {MAX_RESTARTS}). Its log: {LOG}",
    ]
    for one in (part, bystander):
        end(one)


def test_the_pause_grows_and_the_number_of_starts_is_limited(restarts: Restarts, clock: Clock, said: list[str]) -> None:
    part, pauses = ended(), []
    with pytest.raises(CommandError, match=f"was started again {MAX_RESTARTS} times"):  # noqa: PT012 — the last of many checks raises
        while True:
            begun = clock.now
            while not restarts.check(part, ended):
                clock.now += 0.5
            pauses.append(clock.now - begun)
    assert pauses == [0.5, 1, 2, 4, *[MAX_PAUSE_S] * (MAX_RESTARTS - 4)]
    assert len(said) == MAX_RESTARTS


def test_a_part_that_was_steady_starts_from_the_beginning(restarts: Restarts, clock: Clock, said: list[str]) -> None:
    part = ended()
    for steady_s, pause in ((STEADY_S - 1, "1 s (2"), (STEADY_S, "0.5 s (1")):
        restarts.check(part, running)
        clock.now += MAX_PAUSE_S
        assert restarts.check(part, running)
        clock.now += steady_s
        assert not restarts.check(part, running)
        end(part)
        restarts.check(part, running)
        assert f"in {pause} of" in said[-1]
        clock.now += MAX_PAUSE_S
        assert restarts.check(part, running)
        clock.now += STEADY_S
        restarts.check(part, running)
        end(part)


def test_a_start_that_fails_counts_and_says_why(restarts: Restarts, clock: Clock, said: list[str]) -> None:
    def fail() -> Part:
        raise CommandError("no room")

    part = ended()
    with pytest.raises(CommandError, match="exit code 3"):  # noqa: PT012 — the last of many checks raises
        for _ in range(10 * MAX_RESTARTS):
            clock.now += MAX_PAUSE_S
            restarts.check(part, fail)
    assert said.count("Gateway could not be started: no room") == MAX_RESTARTS


def test_a_part_that_cannot_be_started_again_is_reported_at_once(restarts: Restarts) -> None:
    with pytest.raises(CommandError, match="Pub/Sub ended with exit code 7"):
        restarts.check(ended("Pub/Sub", 7), None)
