"""Job, daily: products bought together, intervals between purchases, and embeddings and word counts of the catalog."""

import logging
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from jobs.models.baskets import Associations, find_associations
from shared.clients.postgres import transaction
from shared.domain.replenishment import GAPS_MIN, INTERVAL_DAYS
from shared.job import Parameters, job
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import PRODUCT_SCOPES, SIMILAR
from shared.storage.catalog import catalog_counts
from shared.storage.recommending import bought_together as pairs
from shared.storage.recommending import buy_again, content, content_renewal

log = logging.getLogger(__name__)

NEIGHBOURS: Final = 50


class BoughtTogether(Parameters):
    """Limits of the input; docs/kinds.md gives the reasons for the defaults.

    days : age of the oldest purchases read, in days.
    min_count : products and pairs in fewer baskets are left out.
    max_basket : larger baskets are left out: they have many pairs, most of them by chance.
    min_gaps : intervals that a product needs before its median is stored.
    minutes : after this many of the run's 15 minutes, no further embeddings are started; the next run continues.
    """

    days: Annotated[int, Field(ge=1, le=4000, strict=True)] = INTERVAL_DAYS
    min_count: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 3
    max_basket: Annotated[int, Field(ge=2, le=1000, strict=True)] = 100
    min_gaps: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = GAPS_MIN
    minutes: Annotated[float, Field(ge=0, le=14)] = 12


def copy_line(associations: Associations) -> bytes:
    """Return one product's associations as a line of COPY text."""
    arrays = ("{" + ",".join(map(str, values.tolist())) + "}" for values in associations[1:])
    return ("\t".join((str(associations.product), *arrays)) + "\n").encode()


@job
def bought_together(parameters: BoughtTogether) -> dict[str, Any]:
    """Replace pairs and intervals in one transaction, then bring embeddings and counts of the catalog up to date.

    Returns the numbers of baskets read, of products and pairs stored, of embeddings changed and left to the next run,
    whether the words were recounted, and the number of documents in a language other than the shop's.
    """
    ends_at = time.monotonic() + parameters.minutes * 60
    history = pairs.read_baskets(days=parameters.days, max_basket=parameters.max_basket)
    baskets, products = (
        np.frombuffer(packed, ">i8").astype(np.int64) for packed in (history.baskets, history.products)
    )
    totals = {"products": 0, "pairs": 0}

    def rows() -> Iterator[bytes]:
        for associations in find_associations(baskets, products, NEIGHBOURS, parameters.min_count):
            totals["products"] += 1
            totals["pairs"] += len(associations.others)
            yield copy_line(associations)

    with transaction(statement_timeout_s=0) as connection:
        pairs.replace(connection, rows())
        intervals = buy_again.replace_intervals(connection, days=parameters.days, min_gaps=parameters.min_gaps)
    translated = content.end_change_of_language()
    renewal = content_renewal.renew(lambda: time.monotonic() < ends_at)
    if renewal.left:
        log.warning("embeddings left to the next run", extra={"left": renewal.left})
    # counts of groups that were written directly by SQL, without a message
    with transaction(statement_timeout_s=0) as connection:
        catalog_counts.compact(connection)
    return {
        "baskets": history.number,
        "baskets_too_large": history.too_large,
        **totals,
        "intervals": intervals,
        "embeddings_changed": renewal.written,
        "embeddings_left": renewal.left,
        "words_counted": renewal.is_recounted,
        "translated": translated,
        "cache_flushed": invalidation.flush(*(PRODUCT_SCOPES if translated else (SIMILAR,))),
    }
