"""Event ids derived from an event's values."""

from uuid import UUID

import numpy as np

from jobs.data.copy_rows import event_ids, mix


def test_ids_are_uuids_of_version_8_in_the_order_given() -> None:
    index = np.arange(1000)
    ids = event_ids(index, mix(index, 1), mix(index, 2)).to_pylist()
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert {UUID(event_id).version for event_id in ids} == {8}
    assert {UUID(event_id).variant for event_id in ids} == {"specified in RFC 4122"}
    assert UUID(ids[513]).int >> 80 == 513


def test_mixing_is_a_bijection_that_differs_by_seed() -> None:
    values = np.arange(100_000)
    assert len(np.unique(mix(values))) == 100_000
    assert not np.any(mix(values, 1) == mix(values, 2))
    # known answer: the first output of splitmix64 seeded with 0
    assert int(mix(np.array([0]))[0]) == 0xE220A8397B1DCDAF
