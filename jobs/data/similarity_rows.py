"""Neighbours as rows of the table item_similarity: COPY text to write, packed columns to read."""

from collections.abc import Iterator, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from jobs.models.arrays import Int64Array
from jobs.models.neighbours import Neighbours
from shared.storage.recommending.models import PackedNeighbours


def _array_literal(values: NDArray[np.generic]) -> bytes:
    return b"{%b}" % orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def format_rows(product_ids: Int64Array, neighbours: Neighbours) -> Iterator[bytes]:
    """Yield a line for each product that has neighbours: its id, their ids, scores and co-occurrences, best first.

    product_ids : shape (n_items,), the id of each index in ``neighbours``.
    """
    for product_id, count, indices, scores, co_occurrence in zip(
        product_ids.tolist(),
        neighbours.counts.tolist(),
        neighbours.indices,
        neighbours.scores,
        neighbours.co_occurrence,
        strict=True,
    ):
        if count:
            columns = (product_ids[indices[:count]], scores[:count], co_occurrence[:count])
            yield b"%d\t%b\n" % (product_id, b"\t".join(map(_array_literal, columns)))


def unpack_rows(product_ids: Int64Array, rows: Sequence[PackedNeighbours], k: int) -> Neighbours:
    """Return stored neighbours, best first, in the codes of ``product_ids``, which ascend, shape (n_items,).

    Pairs with a product that is not in ``product_ids`` are left out. The rows do not store co-occurrence, so it is 0.
    """

    def unpack(name: str, dtype: str) -> NDArray[np.generic]:
        return np.frombuffer(b"".join(getattr(row, name) for row in rows), dtype=dtype)

    neighbours = Neighbours.none(len(product_ids), k)
    products, others = unpack("product_ids", ">i8").astype(np.int64), unpack("neighbour_ids", ">i8").astype(np.int64)
    is_known = np.isin(products, product_ids) & np.isin(others, product_ids)
    items = np.searchsorted(product_ids, products[is_known])
    others, scores = np.searchsorted(product_ids, others[is_known]), unpack("scores", ">f4")[is_known]
    # the pairs of a product are contiguous: a pair's place is its distance from the first of them
    first = np.searchsorted(items, items, side="left")
    places = np.arange(len(items)) - first
    is_kept = places < k
    neighbours.indices[items[is_kept], places[is_kept]] = others[is_kept]
    neighbours.scores[items[is_kept], places[is_kept]] = scores[is_kept]
    return neighbours
