"""The size of a shop: where its model is trained, and how much of its history is read."""

from typing import Final

from shared.settings import settings

# The pairs that take as much memory on one machine as a product does in the loops of two processors.
PAIRS_OF_A_PRODUCT: Final = 7
# The most events that the job similarity reads where Spark may train. It has 30 minutes, of which tuning takes 10, the
# export 11, and reading the events twice before that 3 (docs/benchmarks.md, "Jobs around a training").
READ_EVENTS: Final = 500_000_000


def trains_on_spark(pairs: int, products: int) -> bool:
    """Return whether, by SIMILARITY_ENGINE, Spark trains the model of a shop with these pairs of user and product."""
    engine = settings().similarity_engine
    size = pairs + PAIRS_OF_A_PRODUCT * products
    return engine == "spark" or (engine == "auto" and size >= settings().spark_from_pairs)
