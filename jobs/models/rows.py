"""Neighbours as COPY text: what the table item_similarity takes."""

from collections.abc import Iterator

import numpy as np
import orjson
from numpy.typing import NDArray

from jobs.models.neighbours import Neighbours


def _array(values: NDArray[np.generic]) -> bytes:
    return b"{%b}" % orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def copy_rows(product_ids: NDArray[np.int64], neighbours: Neighbours) -> Iterator[bytes]:
    """Yield one line per product that has neighbours: its id, their ids, scores and co-occurrences, best first."""
    for product_id, count, indices, scores, together in zip(
        product_ids.tolist(),
        neighbours.counts.tolist(),
        neighbours.indices,
        neighbours.scores,
        neighbours.co_occurrence,
        strict=True,
    ):
        if count:
            parts = (_array(product_ids[indices[:count]]), _array(scores[:count]), _array(together[:count]))
            yield b"%d\t%b\n" % (product_id, b"\t".join(parts))
