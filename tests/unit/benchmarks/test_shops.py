"""The shops of the quality benchmark: read from files, or made with what is known of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.shops import REAL_SHOPS, real_case, synthetic_case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a shop ``sessions``: user 1 clicks 10, 11 and 12, of which the last is held out."""
    (tmp_path / "sessions").mkdir()
    times = 1_700_000_000_000 + np.arange(4) * 60_000
    events = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [10, 11, 10, 12], "timestamp": times})
    events.assign(event_type="purchase").to_parquet(tmp_path / "sessions" / "events.parquet")
    held_out = pd.DataFrame({"user_id": [1], "item_id": [12], "timestamp": times[-1:] + 60_000})
    held_out.assign(event_type="purchase").to_parquet(tmp_path / "sessions" / "test.parquet")
    return tmp_path


def test_a_shop_with_a_file_of_held_out_events_is_split_by_it(folder: Path) -> None:
    case = real_case("sessions", folder)
    split = case.split(new_only=True)
    assert len(split.train) == 4
    assert split.train.user_ids[split.users].tolist() == [split.train.user_ids[0]]
    assert split.relevant[split.users].toarray().tolist() == [[0, 0, 1]]
    assert len(case.catalog.categories) == 3


def test_items_are_matched_by_the_ids_of_the_events_whatever_other_ids_they_have(folder: Path) -> None:
    items = pd.DataFrame({"item_id": [12, 10], "stock_code": ["a", "b"], "category": ["x", "y"]})
    items.to_parquet(folder / "sessions" / "items.parquet")
    categories = real_case("sessions", folder).catalog.categories
    assert categories[1] == -1
    assert categories[0] != categories[2]
    assert min(categories[0], categories[2]) >= 0


def test_the_last_days_of_the_other_real_shops_are_held_out() -> None:
    assert [name for name, days in REAL_SHOPS.items() if days is None] == ["sessions"]


def test_the_last_event_of_each_visitor_is_held_out_and_goes_on_as_often_as_the_oracle_says() -> None:
    case = synthetic_case("visits", 1)
    assert case.planted is not None
    split = case.split(new_only=False)
    train = split.train
    order = np.argsort(train.times, kind="stable")
    last = np.full(len(train.user_ids), -1)
    last[train.users[order]] = train.items[order]
    relevant = split.relevant[split.users].toarray() > 0
    goes_on = relevant[np.arange(len(relevant))[:, None], case.planted.successors[last[split.users]]].any(axis=1)
    # chance adds the taste for three products of a hundred
    assert goes_on.mean() == pytest.approx(case.planted.follow, abs=0.05)
    assert case.oracle is not None
    assert case.oracle.sum(axis=1) == pytest.approx(1.0)
