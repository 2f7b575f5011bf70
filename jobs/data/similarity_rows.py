"""Neighbours as COPY text for the table item_similarity."""

from collections.abc import Iterator

import numpy as np
import orjson
from numpy.typing import NDArray

from jobs.models.arrays import Int64Array
from jobs.models.neighbours import Neighbours


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
