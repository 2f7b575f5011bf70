"""Training on a real Spark gives what one machine gives, to the last bit.

Needs the packages of tests/spark/requirements.txt and Java 17 or 21; ``.ci/run`` installs the packages in an
environment of their own. What Spark has no part in is tested in tests/unit/spark.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.data.history import History
from jobs.data.weighting import MAX_ROW_ITEMS, Weighting, training_matrix
from jobs.models import pairs, transitions
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.models.registry import ALGORITHMS
from jobs.spark.events import table_of
from jobs.spark.recipes import Cosine
from jobs.spark.results import read_neighbours, unpack_table
from jobs.tuning.fitting import training_input
from tests.unit.spark import shops

pytest.importorskip("pyspark", reason="pyspark is not installed: tests/spark/requirements.txt has it")
if shutil.which("java") is None:
    pytest.skip("there is no Java: Spark needs Java 17 or 21", allow_module_level=True)

from pyspark.sql import functions as sql

from jobs.spark import train

# py4j and pyspark warn of what they do themselves
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session on two threads of this machine."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    for key, value in {
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": "3",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }.items():
        builder = builder.config(key, value)
    running = builder.getOrCreate()
    running.sparkContext.setLogLevel("ERROR")
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One machine uses the loops of large inputs, as the executors do whatever the size."""
    monkeypatch.setattr(pairs, "MIN_COMPILED_WORK", 0)
    monkeypatch.setattr(transitions, "MIN_COMPILED_PAIRS", 0)


def write(history: History, folder: Path, files: int = 2) -> str:
    """Write a history to several files, as ``write_events`` does for days."""
    folder.mkdir(parents=True)
    table = table_of(history)
    step = -(-len(table) // files) or 1
    for number in range(files):
        pq.write_table(table.slice(number * step, step), folder / f"{number}.parquet")
    return str(folder)


def fit_locally(history: History, model: dict[str, Any]) -> Neighbours:
    algorithm = ALGORITHMS[model["algorithm"]]
    data = training_input(algorithm, history, history.times.max(), Weighting(**model["weighting"]))
    return algorithm.fit(data, shops.K, **model["parameters"])


def assert_equal(history: History, product_ids: Any, found: Neighbours, expected: Neighbours) -> None:
    """Compare ids of products, since those without neighbours are not written."""
    has_any = expected.counts > 0
    assert np.array_equal(history.product_ids[has_any], product_ids)
    ids = np.where(expected.indices >= 0, history.product_ids[expected.indices], -1)[has_any]
    assert np.array_equal(ids, np.where(found.indices >= 0, product_ids[found.indices], -1))
    assert expected.scores[has_any].tobytes() == found.scores.tobytes()
    assert np.array_equal(expected.co_occurrence[has_any], found.co_occurrence)


def test_all_algorithms_and_a_mixture_are_those_of_one_machine(session: Any, tmp_path: Path) -> None:
    history = shops.skewed(3_000, 250, 90)
    events, output = write(history, tmp_path / "events"), str(tmp_path / "neighbours")
    models = [shops.model(name) for name in shops.MODELS]
    train.train(session, events, output, models, shops.K, order=3)
    filesystem = fsspec.filesystem("file")
    fits = []
    for number, model in enumerate(models):
        # a batch of this model alone
        only = tmp_path / f"only-{number}"
        shutil.copytree(f"{output}/model={number}", only / "model=0")
        product_ids, found = read_neighbours(filesystem, str(only), [model], [1], shops.K)
        expected = fit_locally(history, model)
        assert expected.counts.sum() > 300
        assert_equal(history, product_ids, found, expected)
        fits.append(expected)
    shares = [1, 2, 0.5, 1, 3]
    product_ids, mixture = read_neighbours(filesystem, output, models, shares, shops.K)
    assert mixture.counts.sum() > 300
    assert_equal(history, product_ids, mixture, mix_models(list(zip(fits, shares, strict=True)), shops.K))


def train_one(session: Any, history: History, model: dict[str, Any], folder: Path, order: int, parts: int) -> Any:
    shop = train.read_shop(session, write(history, folder), part_events=max(1, len(history) // parts))
    return train.train_model(shop, model, shops.K, order=order).toArrow()


def test_ties_empty_blocks_and_a_heavy_user_beyond_the_limit(session: Any, tmp_path: Path) -> None:
    # the tied shop has fewer products than there are groups; the heavy user has more than a row keeps
    n_items = MAX_ROW_ITEMS + 5
    others = np.arange(400)
    heavy = shops.shop(
        np.concatenate([np.full(n_items, 1_000), others % 60]), np.concatenate([np.arange(n_items), others % 37])
    )
    model = {"algorithm": "cosine", "parameters": {"min_co_occurrence": 2}, "weighting": {"repeated": "sum"}}
    matrix = training_matrix(heavy, heavy.times.max(), Weighting(**model["weighting"]))
    assert np.diff(matrix.indptr).max() == MAX_ROW_ITEMS
    for name, history in {"tied": shops.tied(60, 20), "heavy": heavy}.items():
        table = train_one(session, history, model, tmp_path / name, order=5, parts=6)
        product_ids = np.unique(table["product_id"].to_numpy())
        found = Neighbours.none(len(product_ids), shops.K)
        unpack_table(table, product_ids, found)
        assert_equal(history, product_ids, Cosine.finish(found), fit_locally(history, model))


def test_one_product_and_no_events_have_no_neighbours(session: Any, tmp_path: Path) -> None:
    for name, history in {
        "one": shops.shop(np.arange(4), np.full(4, 3)),
        "none": shops.shop(*np.empty((2, 0), int)),
    }.items():
        assert train_one(session, history, shops.model("rp3beta"), tmp_path / name, order=2, parts=1).num_rows == 0


def test_each_key_has_a_partition_of_its_own(session: Any) -> None:
    for n in (1, 2, 7, 3782):
        frame = session.range(3 * n).select((sql.col("id") % n).cast("int").alias("task"))
        parts = train.partition(frame, sql.col("task"), n).select("task", sql.spark_partition_id()).toArrow()
        met = set(zip(*(column.to_pylist() for column in parts.columns), strict=True))
        assert len(met) == n
        assert {part for _, part in met} == set(range(n))
