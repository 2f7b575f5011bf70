"""Which items meet in which task."""

import numpy as np
import pytest

from jobs.spark.blocks import ORDERS, choose_order, choose_sample, most_entries, plan_blocks


@pytest.mark.parametrize("order", ORDERS[:8])
def test_two_groups_meet_in_exactly_one_task(order: int) -> None:
    blocks = plan_blocks(np.ones(order**2), order)
    assert sorted(blocks.groups.tolist()) == list(range(order**2))
    assert blocks.n_tasks == (1 if order == 1 else order**2 + order)
    meetings = np.zeros((order**2, order**2), int)
    for task in range(blocks.n_tasks):
        groups = np.flatnonzero((blocks.tasks == task).any(axis=1))
        assert len(groups) == order
        meetings[np.ix_(groups, groups)] += 1
    assert (meetings[~np.eye(order**2, dtype=bool)] == 1).all()


def test_groups_get_about_the_same_work_where_a_few_products_have_most_of_it() -> None:
    work = 1e6 / np.arange(1, 5_001)
    work[0] = work[1]
    blocks = plan_blocks(work, 3)
    totals = np.bincount(blocks.groups, weights=work)
    assert totals.max() < 1.25 * totals.mean()
    # neighbouring ids in one group would not do
    assert np.add.reduceat(work, np.arange(0, 5_000, 556)).max() > 5 * totals.mean()


def test_an_item_is_spread_over_the_tasks_of_its_group() -> None:
    blocks = plan_blocks(np.array([9.0, 5.0, 4.0, 1.0]), 2)
    positions, tasks = blocks.spread(np.array([2, 0], np.int32))
    assert positions.tolist() == [0, 0, 0, 1, 1, 1]
    assert tasks.tolist() == blocks.tasks[blocks.groups[2]].tolist() + blocks.tasks[blocks.groups[0]].tolist()


@pytest.mark.parametrize(("pairs", "order"), [(20e9, 1), (20.1e9, 2), (80e9, 2), (80.1e9, 3)])
def test_the_order_is_the_least_whose_tasks_are_small_enough(pairs: float, order: int) -> None:
    assert choose_order(pairs, 1_000, 1_000, 50) == order


def test_the_order_grows_with_the_items_that_a_task_holds() -> None:
    # 616 bytes for each item with 50 neighbours
    assert choose_order(1.0, 0, 1_623_376, 50) == 1
    assert choose_order(1.0, 0, 1_623_377, 50) == 2


def test_the_largest_order_holds_what_it_says() -> None:
    # 61 groups of 1,000 products, of which 50 neighbours take 616 bytes each; an entry takes 32
    most = 61 * ((1_000_000_000 - 616_000) // 32)
    assert most_entries(61_000, 50) == most
    assert choose_order(1.0, most, 61_000, 50) == 61
    with pytest.raises(ValueError, match="exceed 3,782 tasks"):
        choose_order(1.0, most + 61, 61_000, 50)


def test_a_sample_of_users_is_the_largest_that_a_batch_can_train() -> None:
    # an event of a sequence takes the room of three entries
    planned = 0.3 * most_entries(61_000, 50)
    sizes = (0, planned - 1, planned + 1, 2 * planned - 1, 2 * planned + 1)
    assert [choose_sample(events, 61_000, 50) for events in sizes] == [1, 1, 2, 2, 3]


def test_a_shop_beyond_all_orders_and_an_unknown_order_are_refused() -> None:
    with pytest.raises(ValueError, match="exceed 3,782 tasks"):
        choose_order(1e15, 1, 1, 50)
    with pytest.raises(ValueError, match="the order must be one of 1, 2, 3"):
        plan_blocks(np.ones(3), 4)
