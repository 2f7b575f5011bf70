"""Neighbours that a batch wrote are read with every product that they name."""

from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.data.history import EPOCH, history_of
from jobs.data.similarity_rows import format_rows
from jobs.models import pairs, transitions
from jobs.models.mixture import mix_models
from jobs.spark.results import read_neighbours
from tests.unit.spark import shops


@pytest.mark.parametrize("last", [15, 30])
def test_a_product_that_only_ever_comes_last_is_a_neighbour_without_neighbours(
    last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "MIN_COMPILED_PAIRS", 0)
    # three users went on from 10 to 20 and then to the last one, whose id lies between those or beyond them
    users, products = np.repeat(np.arange(3), 3), np.tile([10, 20, last], 3)
    moments = EPOCH + (np.tile([1, 2, 3], 3) * 60_000_000).astype("timedelta64[us]")
    history = history_of(users, products, np.ones(9, np.float32), moments)
    model = {
        "algorithm": "transitions",
        "parameters": {"backward": 0.0, "window": 1, "min_co_occurrence": 2},
        "weighting": {},
    }
    folder = tmp_path / "model=0"
    folder.mkdir()
    pq.write_table(shops.run_steps(history, model, 2, shops.K), folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    product_ids, neighbours = read_neighbours(fsspec.filesystem("file"), str(tmp_path), [model], [1.0], shops.K)
    assert product_ids.tolist() == sorted([10, 20, last])
    after = {
        int(product_ids[item]): [int(product_ids[code]) for code in neighbours.indices[item] if code >= 0]
        for item in range(len(product_ids))
    }
    assert after == {10: [20], 20: [last], last: []}
    assert b"".join(format_rows(product_ids, neighbours)).count(b"\n") >= 2


def test_the_files_of_several_models_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "MIN_COMPILED_WORK", 0)
    history = shops.skewed(3_000, 150, 60)
    models = [shops.model("cosine"), shops.model("bm25")]
    fitted = []
    for number, model in enumerate(models):
        (folder := tmp_path / f"model={number}").mkdir()
        table = shops.run_steps(history, model, 2, shops.K)
        # as many files as Spark writes: the products of a part each, and one of a part without products
        parts = table["product_id"].to_numpy() % 4
        for part in range(5):
            pq.write_table(table.filter(parts == part), folder / f"part-{part}.parquet")
        (folder / "_SUCCESS").touch()
        fitted.append(shops.train_plainly(history, model, 2))
    product_ids, mixed = read_neighbours(fsspec.filesystem("file"), str(tmp_path), models, [0.3, 0.7], shops.K)
    expected = mix_models([(fitted[0], 0.3), (fitted[1], 0.7)], shops.K)
    has_any = expected.counts > 0
    assert has_any.sum() > 20
    items = np.searchsorted(product_ids, history.product_ids[has_any])
    assert np.array_equal(product_ids[items], history.product_ids[has_any])
    for row, item in zip(np.flatnonzero(has_any), items, strict=True):
        count = expected.counts[row]
        assert mixed.counts[item] == count
        others = history.product_ids[expected.indices[row, :count]]
        assert np.array_equal(product_ids[mixed.indices[item, :count]], others)
        assert np.array_equal(mixed.scores[item], expected.scores[row])
        assert np.array_equal(mixed.co_occurrence[item], expected.co_occurrence[row])


def test_a_folder_without_files_has_no_products(tmp_path: Path) -> None:
    (folder := tmp_path / "model=0").mkdir()
    (folder / "_SUCCESS").touch()
    product_ids, neighbours = read_neighbours(
        fsspec.filesystem("file"), str(tmp_path), [shops.model("cosine")], [1.0], shops.K
    )
    assert len(product_ids) == len(neighbours.indices) == 0
