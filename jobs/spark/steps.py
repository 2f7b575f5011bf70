"""The steps of a training that executors run, as functions of Arrow tables. None of them imports Spark.

Rows have ids that ascend by user, then session. The rows of a group arrive in no particular order, and sums of
floating-point numbers depend on the order, so each step sorts what it adds up.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from scipy import sparse

from jobs.data.history import History
from jobs.data.weighting import Weighting, training_matrix, training_sequences
from jobs.models import pairs
from jobs.models.arrays import AnyMatrix, Float64Array, Int32Array, Int64Array
from jobs.models.cosine import column_norms
from jobs.models.neighbours import Neighbours
from jobs.models.sequences import Sequences
from jobs.models.topk import fill_top_k
from jobs.models.transitions import rank_sequences
from jobs.spark.blocks import Blocks
from jobs.spark.recipes import Factors, Recipe, Training, Transitions

# entries of a matrix, or events of sequences; ``row_entries`` is the number of entries in the row
ENTRIES: Final = "row long, step long, item int, hour double, weight double, factor double, row_entries int"
SUMS: Final = "item int, total double, entries long, work double"
# what is shuffled q + 1 times: entries of a matrix in the precision of the loops, events in full precision
SPREAD_ENTRIES: Final = "task int, row long, item int, weight float"
SPREAD_EVENTS: Final = "task int, row long, step long, item int, hour double, weight double"
NEIGHBOURS: Final = "item int, neighbour int, score float, co_occurrence int"
PUBLISHED: Final = "product_id long, neighbour_id long, score float, co_occurrence int"


def entries_of(
    history: History,
    first_row: int,
    now: np.datetime64,
    heaviest: float,
    weighting: Weighting,
    recipe: Recipe | Transitions,
) -> pa.Table:
    """Return the entries of some users' rows.

    first_row : the id of the first row.  heaviest : the greatest event weight of all users.
    """
    if isinstance(recipe, Transitions):
        sequences = training_sequences(history, now, weighting, heaviest)
        counts = np.bincount(sequences.rows)
        rows, items, weights = sequences.rows, sequences.items, sequences.weights
        steps, hours, factors = sequences.steps, sequences.hours, np.ones_like(weights)
    else:
        matrix = training_matrix(history, now, weighting, heaviest)
        counts = np.diff(matrix.indptr)
        rows, items = np.repeat(np.arange(matrix.shape[0]), counts), matrix.indices
        weights, factors = recipe.by_row(matrix.data, counts, matrix.shape[1])
        steps, hours = np.zeros_like(rows), np.zeros_like(weights)
    return pa.table(
        {
            "row": rows.astype(np.int64) + first_row,
            "step": steps,
            "item": items.astype(np.int32),
            "hour": hours,
            "weight": weights,
            "factor": factors,
            "row_entries": counts[rows].astype(np.int32),
        }
    )


# the most rows of a table that is shuffled
SPREAD_ROWS: Final = 4_000_000


def _ordered(table: pa.Table, *keys: str) -> pa.Table:
    """Return the table sorted by these keys, the first of which takes precedence."""
    return table.take(np.lexsort([table[key].to_numpy() for key in reversed(keys)]))


def sum_items(table: pa.Table) -> pa.Table:
    """Return the sum of weights of each item, its number of entries, and the number of all entries in its rows."""
    table = _ordered(table, "item", "row", "step")
    items, places = np.unique(table["item"].to_numpy(), return_inverse=True)
    return pa.table(
        {
            "item": items.astype(np.int32),
            "total": np.bincount(places, weights=table["weight"].to_numpy(), minlength=len(items)),
            "entries": np.bincount(places, minlength=len(items)).astype(np.int64),
            "work": np.bincount(places, weights=table["row_entries"].to_numpy(), minlength=len(items)),
        }
    )


def spread_entries(
    table: pa.Table, recipe: Recipe | Transitions, item_values: Float64Array, blocks: Blocks
) -> Iterator[pa.Table]:
    """Yield all entries of some items with their final weights, once for each task of the item.

    A table has SPREAD_ROWS rows at most: with large orders, all copies at once would exceed an executor's memory.
    """
    table = _ordered(table, "item", "row", "step")
    items, weights = table["item"].to_numpy(), table["weight"].to_numpy()
    if isinstance(recipe, Transitions):
        sent = table.select(["row", "step", "item", "hour", "weight"])
    else:
        weights = recipe.by_item(weights, table["factor"].to_numpy(), items, item_values)
        if recipe.is_cosine:
            _, places = np.unique(items, return_inverse=True)
            weights = weights / column_norms(places, weights, int(places.max(initial=-1)) + 1)[places]
        sent = pa.table({"row": table["row"], "item": items, "weight": weights.astype(np.float32)})
    del table
    copied = max(1, SPREAD_ROWS // blocks.tasks.shape[1])
    for first in range(0, len(items), copied):
        part = sent.slice(first, copied)
        positions, tasks = blocks.spread(items[first : first + copied])
        yield part.take(positions).add_column(0, "task", pa.array(tasks))


def score_task(table: pa.Table, training: Training, factors: Factors | None, k: int) -> pa.Table:
    """Return the ``k`` best neighbours of each item of a task among the task's items.

    The compiled kernels run whatever the task's size, since their sums differ in precision from those of SciPy and
    NumPy. They sort entries of a matrix themselves.
    """
    if isinstance(training.recipe, Transitions):
        table = _ordered(table, "row", "step", "item")
    items, codes = np.unique(table["item"].to_numpy(), return_inverse=True)
    _, rows = np.unique(table["row"].to_numpy(), return_inverse=True)
    weights = table["weight"].to_numpy()
    source, target = (None, None) if factors is None else (factors[0][items], factors[1][items])
    recipe = training.recipe
    if isinstance(recipe, Transitions):
        assert source is not None
        assert target is not None
        neighbours = rank_sequences(
            Sequences(
                len(items),
                rows.astype(np.int64),
                table["step"].to_numpy(),
                codes.astype(np.int32),
                table["hour"].to_numpy(),
                weights,
            ),
            k,
            source,
            target,
            window=recipe.window,
            distance_power=recipe.distance_power,
            gap_half_life_hours=recipe.gap_half_life_hours,
            backward=recipe.backward,
            min_co_occurrence=training.min_co_occurrence,
            compiled=True,
            workers=1,
        )
    else:
        shape = (int(rows.max(initial=-1)) + 1, len(items))
        user_items: AnyMatrix = sparse.csr_array((weights, (rows, codes)), shape=shape)
        neighbours = pairs.score_co_occurring(
            user_items,
            k,
            source=source,
            target=target,
            min_co_occurrence=training.min_co_occurrence,
            engine=pairs.compile_engine(),
            workers=1,
        )
    return _flatten(items.astype(np.int32), items.astype(np.int32), neighbours)


def _flatten(items: Int32Array, codes: Int32Array, neighbours: Neighbours) -> pa.Table:
    """Return one row per neighbour, best first. ``neighbours.indices`` are positions in ``codes``."""
    rows, places = np.nonzero(neighbours.indices >= 0)
    return pa.table(
        {
            "item": items[rows],
            "neighbour": codes[neighbours.indices[rows, places]],
            "score": neighbours.scores[rows, places],
            "co_occurrence": neighbours.co_occurrence[rows, places],
        }
    )


def merge_neighbours(table: pa.Table, product_ids: Int64Array, k: int) -> pa.Table:
    """Return the ``k`` best neighbours that all tasks found for some items, without duplicates, as product ids."""
    table = _ordered(table, "item", "neighbour")
    items, others = table["item"].to_numpy(), table["neighbour"].to_numpy()
    # items of the same group met in several tasks, with the same result
    first = np.flatnonzero(np.append(True, (items[1:] != items[:-1]) | (others[1:] != others[:-1]))[: len(items)])
    items, others = items[first], others[first]
    distinct, counts = np.unique(items, return_counts=True)
    merged = Neighbours.none(len(distinct), k)
    if len(distinct):
        fill_top_k(
            merged,
            0,
            np.concatenate(([0], np.cumsum(counts))),
            others,
            table["score"].to_numpy()[first],
            table["co_occurrence"].to_numpy()[first],
        )
    rows, places = np.nonzero(merged.indices >= 0)
    return pa.table(
        {
            "product_id": product_ids[distinct[rows]],
            "neighbour_id": product_ids[merged.indices[rows, places]],
            "score": merged.scores[rows, places],
            "co_occurrence": merged.co_occurrence[rows, places],
        }
    )
