"""Reads the neighbours that a training on Spark wrote, in the form that ``fit`` returns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.models.arrays import Int64Array
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.spark.recipes import training_of


def read_table(filesystem: Any, folder: str) -> pa.Table:
    """Return the rows in a model's folder.

    Raises FileNotFoundError if Spark did not finish the folder: it writes an empty file _SUCCESS last.
    """
    if not filesystem.exists(f"{folder}/_SUCCESS"):
        raise FileNotFoundError(f"{folder} has no file _SUCCESS: the training did not write all of it")
    files = sorted(file for file in filesystem.ls(folder, detail=False) if file.endswith(".parquet"))
    return pa.concat_tables([pq.read_table(filesystem.open(file)) for file in files])


def unpack_table(table: pa.Table, product_ids: Int64Array, k: int) -> Neighbours:
    """Return neighbours in the codes of ``product_ids``, which ascend. A product's rows are contiguous, best first."""
    neighbours = Neighbours.none(len(product_ids), k)
    items = np.searchsorted(product_ids, table["product_id"].to_numpy())
    starts = np.flatnonzero(np.append(True, items[1:] != items[:-1])[: len(items)])
    places = np.arange(len(items)) - np.repeat(starts, np.diff(np.append(starts, len(items))))
    neighbours.indices[items, places] = np.searchsorted(product_ids, table["neighbour_id"].to_numpy())
    neighbours.scores[items, places] = table["score"].to_numpy()
    neighbours.co_occurrence[items, places] = table["co_occurrence"].to_numpy()
    return neighbours


def read_neighbours(
    filesystem: Any, output: str, models: Sequence[Mapping[str, Any]], shares: Sequence[float], k: int
) -> tuple[Int64Array, Neighbours]:
    """Return the products that have or are neighbours, ascending, and the neighbours of the model or of the mixture.

    models : as they were passed to the batch.  shares : the share of each model in the mixture.
    """
    tables = [read_table(filesystem, f"{output}/model={number}") for number in range(len(models))]
    # with transitions and ``backward`` = 0, a product that always comes last has no neighbours but is one of others
    columns = [table[name].to_numpy() for table in tables for name in ("product_id", "neighbour_id")]
    product_ids = np.unique(np.concatenate(columns).astype(np.int64))
    fitted = [
        training_of(model["algorithm"], model["parameters"]).recipe.finish(unpack_table(table, product_ids, k))
        for model, table in zip(models, tables, strict=True)
    ]
    if len(fitted) == 1:
        return product_ids, fitted[0]
    return product_ids, mix_models(list(zip(fitted, shares, strict=True)), k)
