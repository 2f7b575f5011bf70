"""The quality benchmark compares methods user by user, and its oracle knows what was planted."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import PEERS
from benchmarks.quality import (
    ORACLE,
    README_SHOPS,
    SERVED,
    Measured,
    answer_by_oracle,
    check_complete,
    check_set_up,
    history_table,
    row_of,
    table,
)
from benchmarks.shops import Case, Planted
from jobs.data.catalog import Catalog
from jobs.offline.metrics import CUTOFFS
from jobs.offline.split import leave_last_out
from tests.unit.offline import data

K = CUTOFFS[-1]


def scores(*values: float) -> dict[str, np.ndarray]:
    """Return every metric of the table with these values by user."""
    return {metric: np.array(values) for metric in ("ndcg@20", "recall@20", "hit@20", "mrr@20")}


def test_a_lead_is_the_mean_of_paired_differences_and_its_interval_is_of_the_differences() -> None:
    random = np.random.default_rng(0)
    users = random.random(400)
    measured = Measured("shop", True)
    # users differ far more than the methods do on each of them
    measured.add({SERVED: scores(*users), "EASE": scores(*(users - 0.01))}, np.ones(400, np.int64), "ease")
    mean, low, high = measured.lead("EASE")
    assert (mean, low, high) == pytest.approx((0.01, 0.01, 0.01))
    assert measured.lead(SERVED) == (0, 0, 0)


def test_seeds_are_pooled_and_a_method_missing_for_one_of_them_is_left_out() -> None:
    measured = Measured("shop", True)
    measured.add({SERVED: scores(1, 0), "STAN": scores(1, 1), "EASE": scores(0, 0)}, np.array([1, 2]), "ease")
    measured.add({SERVED: scores(0.5), "STAN": scores(0)}, np.array([7]), "cosine")
    assert measured.scores.keys() == {SERVED, "STAN"}
    assert measured.mean(SERVED, "ndcg@20") == 0.5
    assert measured.history_sizes.tolist() == [1, 2, 7]
    assert measured.choices == ["ease", "cosine"]
    assert [(group["from"], group["users"], group["STAN"]) for group in measured.by_history()] == [
        (1, 1, 1.0),
        (2, 1, 1.0),
        (5, 1, 0.0),
    ]
    assert row_of(measured.as_json()).note == "best peer (STAN) 0.667"


def test_the_tables_have_every_method_its_lead_and_each_length_of_history() -> None:
    measured = Measured("shop", False)
    measured.add({SERVED: scores(0.5, 0.5), ORACLE: scores(1, 0.75)}, np.array([1, 150]), "ease")
    lines = table([measured]).splitlines()
    assert lines[2].startswith("| shop | all, repeats included | served | 0.5000 | 0.5000 | 0.5000 | 0.5000 |  |")
    assert "| -0.3750 (-0.5000 to -0.2500) |" in lines[3]
    assert history_table([measured]).splitlines() == [
        "| shop, all, repeats included | 1 (1) | 100+ (1) |",
        "|---|---|---|",
        "| served | 0.5000 | 0.5000 |",
        "| oracle | 1.0000 | 0.7500 |",
    ]


def test_the_oracle_goes_on_from_the_last_product_and_then_by_taste() -> None:
    # each item is followed by the next three, of 30; user 0 has met 0 to 4 and user 1 0 to 9, before a last event
    n_items = 30
    met = [(0, item) for item in range(6)] + [(1, item) for item in range(11)]
    history = data.history(
        *((user, item, 5.0, float(day)) for day, (user, item) in enumerate(met)), (1, 29, 5.0, -1.0), items=n_items
    )
    # by taste, item 0 is likelier than the third successor, but users follow their taste half of the time only
    taste = np.zeros((2, n_items))
    taste[:, :2] = 0.08, 0.07
    following = np.stack([(np.arange(n_items) + step) % n_items for step in (1, 2, 3)], axis=1).astype(np.int32)
    planted = Planted(following, np.array([0.6, 0.3, 0.1]), 0.5)
    case = Case("visits", history, Catalog.unknown(n_items), None, oracle=taste, planted=planted)
    split = leave_last_out(history, new_only=False)
    answers = answer_by_oracle(case, split)
    assert answers.shape == (2, K)
    # items 10 to 12 have no event before the cut, and cannot be recommended
    assert answers[0, :5].tolist() == [5, 6, 7, 0, 1]
    assert answers[1, :2].tolist() == [0, 1]
    # without successors, by taste alone
    plain = Case("synthetic", history, Catalog.unknown(n_items), None, oracle=taste)
    assert answer_by_oracle(plain, split)[:, :2].tolist() == [[0, 1]] * 2
    # the taste is the case's and stays as it is
    assert taste[0, 0] == 0.08
    new = leave_last_out(history, new_only=True)
    assert answer_by_oracle(case, new)[0, :3].tolist() == [5, 6, 7]
    # six products are new to user 0
    assert not set(answer_by_oracle(case, new)[0, :6].tolist()) & {0, 1, 2, 3, 4}


def test_a_row_names_the_best_peer_and_neither_the_oracle_nor_a_baseline() -> None:
    measured = Measured("sessions", True)
    methods = {SERVED: 0.33, "STAN": 0.25, "EASE": 0.5, "best single model": 0.9, ORACLE: 0.75}
    measured.add({name: scores(value) for name, value in methods.items()}, np.array([1]), "ease")
    row = row_of(measured.as_json())
    assert (row.name, row.value, row.target) == ("quality, sessions, new", 0.33, 0.325)
    assert row.note == "best peer (EASE) 0.500; oracle 0.750"


def test_a_table_without_one_of_the_peers_is_refused() -> None:
    figures = {"shop": "sessions", "methods": {name: {} for name in (SERVED, *PEERS)}}
    check_complete([figures])
    lacking = {"shop": "online_retail", "methods": {name: {} for name in (SERVED, *PEERS) if name != "EASE"}}
    with pytest.raises(RuntimeError, match=r"^online_retail: EASE failed"):
        check_complete([figures, lacking])


def test_shops_and_peers_are_looked_for_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AISLE_QUALITY_DATA", raising=False)
    with pytest.raises(RuntimeError, match=r"AISLE_QUALITY_DATA .* online_retail, sessions"):
        check_set_up()
    monkeypatch.setenv("AISLE_QUALITY_DATA", str(tmp_path))
    (tmp_path / README_SHOPS[0]).mkdir()
    (tmp_path / README_SHOPS[0] / "events.parquet").touch()
    with pytest.raises(RuntimeError, match=f"shops {README_SHOPS[1]}\\.$"):
        check_set_up()
    (tmp_path / README_SHOPS[1]).mkdir()
    (tmp_path / README_SHOPS[1] / "events.parquet").touch()
    # programs in place of Pythons with and without the libraries
    monkeypatch.setenv("AISLE_PEERS_PYTHON", "false")
    with pytest.raises(RuntimeError, match="AISLE_PEERS_PYTHON"):
        check_set_up()
    monkeypatch.setenv("AISLE_PEERS_PYTHON", "true")
    assert check_set_up() == (tmp_path, "true")
