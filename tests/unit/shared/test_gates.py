"""Gates admit a bounded number of calls and refuse the others at once."""

import asyncio
import threading
import time

import pytest

from shared import passwords
from shared.errors import RateLimited, Unavailable
from shared.gates import COMPUTING, HASHING, LARGE_BODIES, MAILING, Gate, Turns, acting_for


def test_a_full_gate_refuses_and_an_empty_one_admits_again() -> None:
    gate, other = Gate("searching", 2, share=2), Gate("hashing", 2, share=2)
    with gate.admit(), gate.admit():
        with pytest.raises(Unavailable, match="need searching") as refused, gate.admit():
            pass
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
        with other.admit():
            assert other.admitted == 1
    with pytest.raises(ZeroDivisionError), gate.admit():
        _ = 1 / 0
    assert gate.admitted == 0
    with gate.admit(), gate.admit():
        assert gate.admitted == 2


def test_a_client_holds_its_share_and_leaves_the_other_places_free() -> None:
    gate = Gate("searching", 4, share=2)
    with acting_for("hostile"), gate.admit():
        with gate.admit():
            with pytest.raises(RateLimited, match="one of the 2 running requests") as refused, gate.admit():
                pass
            assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
            with (
                acting_for("other"),
                gate.admit(),
                gate.admit(),
                # all places are taken by others
                pytest.raises(Unavailable),
                acting_for("third"),
                gate.admit(),
            ):
                pass
            # what acts for many people has no share of its own
            with acting_for(None), gate.admit(), gate.admit():
                assert gate.admitted == 4
        with gate.admit():
            assert gate.admitted == 2
    assert (gate.admitted, gate._of_client) == (0, {})


def test_a_place_is_given_back_to_the_client_that_held_it_by_any_thread() -> None:
    gate = Gate("mail", 4, share=1)
    with acting_for("hostile"):
        place = gate.admit()
        place.__enter__()
        with acting_for("other"), gate.admit():
            releasing = threading.Thread(target=place.__exit__, args=(None, None, None))
            releasing.start()
            releasing.join()
            # the other client still holds its place
            with pytest.raises(RateLimited), gate.admit():
                pass
        with gate.admit():
            assert gate.admitted == 1


def test_the_calls_of_a_client_take_turns_and_others_do_not_wait_for_them() -> None:
    async def crowd() -> None:
        turns, running, release = Turns(2), set[str](), asyncio.Event()

        async def call(name: str, client: str | None) -> None:
            with acting_for(client):
                async with turns.take():
                    running.add(name)
                    await release.wait()

        tasks = [asyncio.create_task(call(f"hostile {number}", "hostile")) for number in range(5)]
        tasks += [asyncio.create_task(call("other", "other")), asyncio.create_task(call("server", None))]
        for _ in range(10):
            await asyncio.sleep(0)
        assert running == {"hostile 0", "hostile 1", "other", "server"}
        # one that gives up while it waits takes no turn along
        tasks[2].cancel()
        release.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert running == {"hostile 0", "hostile 1", "hostile 3", "hostile 4", "other", "server"}
        assert turns._loops[asyncio.get_running_loop()] == {}

    asyncio.run(crowd())


@pytest.mark.parametrize("gate", [COMPUTING, HASHING, MAILING, LARGE_BODIES])
def test_one_client_never_holds_more_than_half_of_the_places(gate: Gate) -> None:
    assert 1 <= gate.share <= gate.most // 2


def test_a_crowd_of_logins_waits_a_second_or_is_refused() -> None:
    """Sixty logins at the same time: the bound admits 20, and nobody waits for all the others."""
    stored = passwords.hash_password("a plum in the rain")
    outcomes: list[bool | str] = []
    barrier = threading.Barrier(60)

    def log_in() -> None:
        barrier.wait()
        try:
            outcomes.append(passwords.verify(stored, "a plum in the rain"))
        except Unavailable:
            outcomes.append("refused")

    crowd = [threading.Thread(target=log_in) for _ in range(60)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert set(outcomes) == {True, "refused"}
    assert 20 <= outcomes.count(True) < 60
    begun = time.monotonic()
    assert passwords.verify(stored, "a plum in the rain")
    assert time.monotonic() - begun < 5
