"""The data sets that the local system can start with."""

from collections.abc import Callable
from typing import Any, Final

from local.errors import Refused

NAMES: Final = ("online_retail", "synthetic", "none")


def load(name: str, options: dict[str, Any], report: Callable[[str], None]) -> None:
    """Load a data set into a migrated database in one transaction, with everything that is derived from events.

    Existing rows stay: loading twice adds nothing. ``options`` are those of ``synthetic.Options``; the other sets have
    none. ``report`` receives lines of progress. Raises Refused for an unknown name or option.
    """
    if name not in NAMES:
        raise Refused(f"There is no data set {name!r}. The data sets are {', '.join(NAMES)}.")
    if name != "synthetic" and options:
        raise Refused(f"{name} has no options. Remove {next(iter(options))}.")
    if name == "none":
        report("no data, as requested")
        return
    # imported on demand: NumPy and pandas are slow to start, and `none` needs neither
    from local.data import store

    if name == "online_retail":
        from local.data.online_retail import shop

        report("reading online_retail: a year of a gift shop (CC BY 4.0, Chen, Sain, Guo 2012)")
        store.store(shop.make(), report)
    else:
        from local.data import synthetic

        report("generating a synthetic shop")
        store.store(synthetic.make(options), report)
