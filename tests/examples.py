"""How many made-up inputs a property test tries: few in every run, many in `.ci/run --all`."""

import os
from typing import Final

FACTOR: Final = int(os.environ.get("EXAMPLES_FACTOR", "1"))


def examples(bounded: int) -> int:
    """Return the number of inputs for a test that tries ``bounded`` of them in every run."""
    return bounded * FACTOR
