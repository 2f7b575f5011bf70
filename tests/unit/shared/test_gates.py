"""Gates admit a bounded number of calls and refuse the others at once."""

import threading
import time

import pytest

from shared import passwords
from shared.errors import Unavailable
from shared.gates import Gate


def test_a_full_gate_refuses_and_an_empty_one_admits_again() -> None:
    gate, other = Gate("searching", 2), Gate("hashing", 2)
    with gate, gate:
        with pytest.raises(Unavailable, match="need searching") as refused, gate:
            pass
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
        with other:
            assert other.admitted == 1
    with pytest.raises(ZeroDivisionError), gate:
        _ = 1 / 0
    assert gate.admitted == 0
    with gate, gate:
        assert gate.admitted == 2


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
