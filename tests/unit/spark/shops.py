"""Histories on which both engines must agree to the last bit, and a plain executor of the steps."""

from typing import Any

import numpy as np
import pyarrow as pa

from jobs.data.history import EPOCH, History, history_of
from jobs.data.weighting import Weighting
from jobs.models.arrays import Int64Array
from jobs.models.neighbours import Neighbours
from jobs.spark import steps
from jobs.spark.blocks import plan_blocks
from jobs.spark.events import history_of_users, table_of
from jobs.spark.recipes import Transitions, training_of
from jobs.spark.results import unpack_table

K = 10
# each with values that its search space has
MODELS: dict[str, dict[str, Any]] = {
    "cosine": {"parameters": {"min_co_occurrence": 2}, "weighting": {"half_life_days": 30.0, "repeated": "log"}},
    "bm25": {
        "parameters": {"k1": 2.0, "b": 0.5, "min_co_occurrence": 2},
        "weighting": {"repeated": "sum", "session_gap_minutes": 1440.0},
    },
    "tfidf": {"parameters": {"min_co_occurrence": 3}, "weighting": {"weight_power": 1.0}},
    "rp3beta": {
        "parameters": {"alpha": 0.6, "beta": 0.6, "min_co_occurrence": 1},
        "weighting": {"half_life_days": 15.0, "weight_power": 1.0, "repeated": "sum"},
    },
    "transitions": {
        "parameters": {"gap_half_life_hours": 24.0, "backward": 0.6, "window": 5, "min_co_occurrence": 1},
        "weighting": {"half_life_days": 15.0, "session_gap_minutes": 1440.0},
    },
}


def shop(users: Int64Array, products: Int64Array, seed: int = 0) -> History:
    """Return the history of some users' events, in the order of ``load_history``."""
    rng, n = np.random.default_rng(seed), len(users)
    weights = rng.choice(np.array([1, 3, 5], np.float32), n)
    times = rng.integers(0, 60 * 86_400, n) * 1_000_000
    order = np.lexsort((weights, products, users, times))
    moments = EPOCH + times[order].astype("timedelta64[us]")
    return history_of(users[order], products[order], weights[order], moments)


def skewed(n_events: int, n_users: int, n_products: int, seed: int = 0) -> History:
    """Return a shop with a few heavy users and popular products, whose ids have gaps."""
    rng = np.random.default_rng(seed)
    users, products = rng.zipf(1.3, n_events) % n_users * 7 + 10, rng.zipf(1.2, n_events) % n_products * 3 + 5
    return shop(users.astype(np.int64), products.astype(np.int64), seed)


def tied(n_users: int, n_products: int) -> History:
    """Return a shop in which each user has the same number of products, each as often: nearly all scores tie."""
    users = np.repeat(np.arange(n_users), 8)
    products = (users * 3 + np.tile(np.arange(8), n_users) ** 2) % n_products
    shared = shop(users.astype(np.int64), products.astype(np.int64))
    weights, times = np.ones(len(shared), np.float32), np.full(len(shared), shared.times.max())
    return History(shared.user_ids, shared.product_ids, shared.users, shared.items, weights, times)


def model(name: str) -> dict[str, Any]:
    """Return a model as a batch gets it."""
    return {"algorithm": name, **MODELS[name]}


def train_plainly(history: History, description: dict[str, Any], order: int) -> Neighbours:
    """Return all products' neighbours by the steps, without Spark."""
    table = run_steps(history, description, order, K)
    neighbours = Neighbours.none(len(history.product_ids), K)
    unpack_table(table, history.product_ids, neighbours)
    return training_of(description["algorithm"], description["parameters"]).recipe.finish(neighbours)


def run_steps(history: History, description: dict[str, Any], order: int, k: int, n_parts: int = 3) -> pa.Table:
    """Run the steps one after the other as jobs/spark/train.py has Spark run them; return what it would write."""
    training, weighting = (
        training_of(description["algorithm"], description["parameters"]),
        Weighting(**description["weighting"]),
    )
    recipe, product_ids = training.recipe, history.product_ids
    rng, events = np.random.default_rng(7), table_of(history)

    def groups(table: pa.Table, of: Any) -> list[pa.Table]:
        # a group's rows come in no order
        table = table.take(rng.permutation(len(table)))
        return [table.filter(of(table) == group) for group in np.unique(of(table))]

    def by_item(table: pa.Table) -> list[pa.Table]:
        return groups(table, lambda rows: rows["item"].to_numpy() % n_parts)

    bounds = np.quantile(history.user_ids, np.linspace(0, 1, n_parts + 1)[1:-1])
    parts = groups(events, lambda rows: np.searchsorted(bounds, rows["user_id"].to_numpy()))
    now, heaviest = history.times.max(), float(history.weights.max())
    entries = pa.concat_tables(
        steps.entries_of(history_of_users([part], product_ids), number << 40, now, heaviest, weighting, recipe)
        for number, part in enumerate(parts)
    )
    sums = pa.concat_tables(steps.sum_items(part) for part in by_item(entries))
    totals, work = np.zeros(len(product_ids)), np.zeros(len(product_ids))
    totals[sums["item"].to_numpy()] = sums["total"].to_numpy()
    work[sums["item"].to_numpy()] = sums["work"].to_numpy()
    blocks = plan_blocks(work, order)
    values = totals if isinstance(recipe, Transitions) else recipe.item_values(totals)
    spread = pa.concat_tables(
        table for part in by_item(entries) for table in steps.spread_entries(part, recipe, values, blocks)
    )
    tasks = groups(spread, lambda rows: rows["task"].to_numpy())
    scored = pa.concat_tables(steps.score_task(task, training, recipe.factors(totals), k) for task in tasks)
    # a merge of no rows has the schema where there are none
    parts = [*by_item(scored), scored.slice(0, 0)]
    return pa.concat_tables(steps.merge_neighbours(part, product_ids, k) for part in parts)
