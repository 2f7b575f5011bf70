"""Reads the neighbours that a training on Spark wrote, in the form that ``fit`` returns."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.models.arrays import Int64Array
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.spark.recipes import training_of

PRODUCTS: Final = ["product_id", "neighbour_id"]


def find_files(filesystem: Any, folder: str) -> list[str]:
    """Return the Parquet files in a model's folder.

    Raises FileNotFoundError if Spark did not finish the folder: it writes an empty file _SUCCESS last.
    """
    if not filesystem.exists(f"{folder}/_SUCCESS"):
        raise FileNotFoundError(f"{folder} has no file _SUCCESS: the training did not write all of it")
    return sorted(file for file in filesystem.ls(folder, detail=False) if file.endswith(".parquet"))


def read_file(filesystem: Any, file: str, columns: list[str] | None = None) -> pa.Table:
    """Return the rows of a file, all columns by default."""
    with filesystem.open(file) as source:
        return pq.read_table(source, columns=columns)


def products_in(table: pa.Table) -> Int64Array:
    """Return the products that have or are neighbours, ascending.

    With transitions and ``backward`` = 0, a product that always comes last has no neighbours but is one of others.
    """
    return np.unique(np.concatenate([table[name].to_numpy() for name in PRODUCTS]).astype(np.int64))


def check_rows(table: pa.Table) -> None:
    """Raise ValueError for rows that no training writes."""
    scores, products, others = (table[name].to_numpy() for name in ("score", *PRODUCTS))
    if any(column.null_count for column in table.columns) or not (np.isfinite(scores) & (scores > 0)).all():
        raise ValueError("a score is missing, or is not a number above 0")
    if (products < 0).any() or (others < 0).any() or (products == others).any():
        raise ValueError("a product or a neighbour is not a product's id, or a product is its own neighbour")


def unpack_table(table: pa.Table, product_ids: Int64Array, neighbours: Neighbours) -> None:
    """Write a table's rows into ``neighbours``, in the codes of ``product_ids``, which ascend.

    All rows of a product are contiguous, best first.
    """
    check_rows(table)
    items = np.searchsorted(product_ids, table["product_id"].to_numpy())
    starts = np.flatnonzero(np.append(True, items[1:] != items[:-1])[: len(items)])
    places = np.arange(len(items)) - np.repeat(starts, np.diff(np.append(starts, len(items))))
    neighbours.indices[items, places] = np.searchsorted(product_ids, table["neighbour_id"].to_numpy())
    neighbours.scores[items, places] = table["score"].to_numpy()
    neighbours.co_occurrence[items, places] = table["co_occurrence"].to_numpy()


def read_neighbours(
    filesystem: Any, output: str, models: Sequence[Mapping[str, Any]], shares: Sequence[float], k: int
) -> tuple[Int64Array, Neighbours]:
    """Return the products that have or are neighbours, ascending, and the neighbours of the model or of the mixture.

    models : as they were passed to the batch.  shares : the share of each model in the mixture.

    Only one file is in memory at a time. A file has all rows of its products: Spark writes one for each part.
    """
    files = [find_files(filesystem, f"{output}/model={number}") for number in range(len(models))]
    product_ids = np.empty(0, np.int64)
    for file in (file for of_model in files for file in of_model):
        product_ids = np.union1d(product_ids, products_in(read_file(filesystem, file, PRODUCTS)))
    fitted = []
    for model, of_model in zip(models, files, strict=True):
        neighbours = Neighbours.none(len(product_ids), k)
        for file in of_model:
            unpack_table(read_file(filesystem, file), product_ids, neighbours)
        fitted.append(training_of(model["algorithm"], model["parameters"]).recipe.finish(neighbours))
    if len(fitted) == 1:
        return product_ids, fitted[0]
    return product_ids, mix_models(list(zip(fitted, shares, strict=True)), k)
