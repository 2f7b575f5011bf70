"""Job, daily: what is bought together, how soon products are bought again, and the words of content."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from jobs.models.baskets import Together
from jobs.models.baskets import bought_together as pairs_of
from shared.clients.postgres import transaction
from shared.job import Parameters, job
from shared.storage.answers import invalidation
from shared.storage.recommending import bought_together as pairs
from shared.storage.recommending import buy_again, similar_products

NEIGHBOURS: Final = 50


class BoughtTogether(Parameters):
    """What is learnt from; docs/kinds.md has the reasons for the defaults."""

    days: Annotated[int, Field(ge=1, le=4000, strict=True)] = 365
    min_count: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 3
    # who buys more different products at once buys for a shop: pairs by the square that say little
    max_basket: Annotated[int, Field(ge=2, le=1000, strict=True)] = 100
    min_gaps: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 5


def copy_text(found: Together) -> bytes:
    """Return a product's others as one line of COPY text."""
    arrays = ("{" + ",".join(map(str, values.tolist())) + "}" for values in found[1:])
    return ("\t".join((str(found.product), *arrays)) + "\n").encode()


@job
def bought_together(parameters: BoughtTogether) -> dict[str, Any]:
    """Replace pairs and intervals at once: a reader sees those of before or those of now."""
    read = pairs.read_baskets(days=parameters.days, max_basket=parameters.max_basket)
    baskets, products = (np.frombuffer(packed, ">i8").astype(np.int64) for packed in (read.baskets, read.products))
    counted = {"products": 0, "pairs": 0}

    def rows() -> Iterator[bytes]:
        for found in pairs_of(baskets, products, NEIGHBOURS, parameters.min_count):
            counted["products"] += 1
            counted["pairs"] += len(found.others)
            yield copy_text(found)

    with transaction(statement_timeout_s=0) as connection:
        pairs.replace(connection, rows())
        intervals = buy_again.replace_intervals(connection, days=parameters.days, min_gaps=parameters.min_gaps)
    # once a day the words are counted anew: between, those of new products count as met once
    with transaction(statement_timeout_s=0) as connection:
        embedded = similar_products.refresh(connection, None)
    return {
        "baskets": read.number,
        "baskets_too_large": read.too_large,
        **counted,
        "intervals": intervals,
        "embeddings_changed": embedded,
        "cache_flushed": invalidation.flush("similar"),
    }
