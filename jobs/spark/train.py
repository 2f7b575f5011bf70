"""The program of a batch: reads events and writes each item's neighbours, both as Parquet. Only this module uses Spark.

``python -m jobs.spark.train --events FOLDER --output FOLDER --models JSON`` trains one model after another into
``OUTPUT/model=0``, ``OUTPUT/model=1`` and so on. It exits with status 0 only if all are written.
"""

import argparse
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from pyspark import StorageLevel, TaskContext
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql

from jobs.data.history import EPOCH
from jobs.data.weighting import Weighting
from jobs.models.arrays import Int64Array
from jobs.spark import steps
from jobs.spark.blocks import EVENT_ENTRIES, choose_order, plan_blocks
from jobs.spark.events import history_of_users
from jobs.spark.recipes import Transitions, training_of

log = logging.getLogger(__name__)

# The most events, or entries, of a partition in an executor's memory, unless a single user or item has more.
PART_EVENTS: Final = 2_000_000
# The number of low bits of a row's id that count the rows of a partition; the partition's number is in the bits above.
ROW_BITS: Final = 40
# The numbers that are hashed for each partition. With so many, a partition is left without one in e^-64 of the cases.
HASHED_NUMBERS: Final = 64
# A step returns its rows in one table or in several.
Step: TypeAlias = Callable[[pa.Table], Iterable[pa.Table]]
# The most rows of a batch that a step returns.
RESULT_ROWS: Final = 1_000_000


@dataclass(frozen=True)
class Shop:
    """A shop's events, and what the training of every model needs of them.

    n_parts : the number of partitions, of users and of items.  now : the time of the newest event.
    heaviest : the greatest weight of an event.
    """

    events: DataFrame
    product_ids: Int64Array
    n_parts: int
    now: np.datetime64
    heaviest: float


def read_shop(session: SparkSession, folder: str, part_events: int = PART_EVENTS) -> Shop:
    """Return the events in a folder of Parquet files, and what the training of every model needs of them."""
    events = session.read.parquet(folder)
    count, newest, heaviest = events.agg(sql.count("*"), sql.max("time"), sql.max("weight")).first() or (0, None, None)
    products = events.select("product_id").distinct().toArrow()["product_id"].to_numpy()
    return Shop(
        events,
        np.sort(products).astype(np.int64),
        max(1, -(-count // part_events)),
        EPOCH + np.timedelta64(newest or 0, "us"),
        heaviest or 1.0,
    )


def partition(frame: DataFrame, key: Column, n: int) -> DataFrame:
    """Return the rows in ``n`` partitions, one for each value of ``key``, from 0 to n - 1.

    ``groupBy(key).applyInArrow`` would sort each group in the memory of the JVM first, where large groups fail. The
    steps sort rows themselves. ``repartition`` hashes its argument, so each key is replaced by a number whose hash is
    the key.
    """
    numbers = sql.col("id").cast("int")
    hashed = frame.sparkSession.range(HASHED_NUMBERS * n).select(numbers, sql.pmod(sql.hash(numbers), sql.lit(n)))
    found, keys = (column.to_numpy() for column in hashed.toArrow().columns)
    hit, first = np.unique(keys, return_index=True)
    if len(hit) < n:
        raise RuntimeError(f"of {HASHED_NUMBERS * n:,} numbers, none is hashed to {n - len(hit)} of {n:,} partitions")
    listed = sql.array(*(sql.lit(int(number)) for number in found[first]))
    return frame.repartition(n, sql.element_at(listed, key + 1))


def apply_to_partition(batches: Iterator[pa.RecordBatch], step: Step) -> Iterator[pa.RecordBatch]:
    """Apply a step to all rows of a partition at once; a partition without rows has no result."""
    rows = list(batches)
    if rows:
        for result in step(pa.Table.from_batches(rows)):
            yield from result.to_batches(max_chunksize=RESULT_ROWS)


def train_model(shop: Shop, model: Mapping[str, Any], k: int, *, order: int | None = None) -> DataFrame:
    """Return the ``k`` best neighbours of each product, sorted by product, best first, with unscaled scores.

    model : ``algorithm``, ``parameters`` and ``weighting``, as in the description of a model version.
    order : order of the blocks (jobs/spark/blocks.py); by default the least whose tasks are small enough.
    """
    training, weighting = training_of(model["algorithm"], model["parameters"]), Weighting(**model["weighting"])
    recipe, product_ids, now, heaviest = training.recipe, shop.product_ids, shop.now, shop.heaviest

    def to_entries(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        tables = [pa.Table.from_batches([batch]) for batch in batches]
        if tables:
            history = history_of_users(tables, product_ids)
            first_row = context.partitionId() << ROW_BITS
            yield from steps.entries_of(history, first_row, now, heaviest, weighting, recipe).to_batches()

    def by_item(frame: DataFrame, step: Step, schema: str) -> DataFrame:
        parts = partition(frame, sql.col("item") % shop.n_parts, shop.n_parts)
        return parts.mapInArrow(lambda batches: apply_to_partition(batches, step), schema)

    def score_tasks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return apply_to_partition(batches, lambda table: [steps.score_task(table, training, factors, k)])

    # partitions are ranges of users in order, so that ids of rows ascend with the partition's number
    users = shop.events.repartitionByRange(shop.n_parts, "user_id")
    entries = users.mapInArrow(to_entries, steps.ENTRIES).persist(StorageLevel.MEMORY_AND_DISK)
    sums = by_item(entries, lambda table: [steps.sum_items(table)], steps.SUMS).toArrow()
    items, n_items = sums["item"].to_numpy(), len(product_ids)
    totals, work = np.zeros(n_items), np.zeros(n_items)
    totals[items], work[items] = sums["total"].to_numpy(), sums["work"].to_numpy()
    n_entries = int(sums["entries"].to_numpy().sum())
    if order is None:
        is_sequential = isinstance(recipe, Transitions)
        order = choose_order(work.sum(), n_entries * (EVENT_ENTRIES if is_sequential else 1), n_items, k)
    blocks = plan_blocks(work, order)
    log.info("%s: %d entries, %d items, %d tasks", model["algorithm"], n_entries, n_items, blocks.n_tasks)
    values = totals if isinstance(recipe, Transitions) or n_entries == 0 else recipe.item_values(totals)
    factors = recipe.factors(totals)
    schema = steps.SPREAD_EVENTS if isinstance(recipe, Transitions) else steps.SPREAD_ENTRIES
    spread = by_item(entries, lambda table: steps.spread_entries(table, recipe, values, blocks), schema)
    tasks = partition(spread, sql.col("task"), blocks.n_tasks)
    scored = tasks.mapInArrow(score_tasks, steps.NEIGHBOURS)
    return by_item(scored, lambda table: [steps.merge_neighbours(table, product_ids, k)], steps.PUBLISHED)


def train(
    session: SparkSession,
    events: str,
    output: str,
    models: Sequence[Mapping[str, Any]],
    k: int,
    order: int | None = None,
) -> None:
    """Train models and write the neighbours of each to its own folder, replacing what a failed attempt left there."""
    shop = read_shop(session, events)
    for number, model in enumerate(models):
        train_model(shop, model, k, order=order).write.mode("overwrite").parquet(f"{output}/model={number}")
        session.catalog.clearCache()


def main() -> None:
    """Train the models given on the command line."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", required=True, help="folder of Parquet files: jobs/spark/events.py")
    parser.add_argument("--output", required=True, help="folder for the neighbours")
    parser.add_argument("--models", required=True, type=json.loads, help="JSON list of models")
    parser.add_argument("--k", required=True, type=int, help="neighbours of a product")
    parser.add_argument("--order", type=int, help="order of the blocks, chosen by size if omitted")
    arguments = parser.parse_args()
    # adaptive execution would coalesce partitions, and with them the tasks of blocks
    builder = SparkSession.builder.appName("aisle-similarity").config("spark.sql.adaptive.enabled", "false")
    session = builder.getOrCreate()
    train(session, arguments.events, arguments.output, arguments.models, arguments.k, arguments.order)
    session.stop()


if __name__ == "__main__":
    main()
