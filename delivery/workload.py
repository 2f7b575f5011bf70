"""The work of a load: how often each operation comes, and what that costs per second."""

import math
from collections.abc import Mapping
from typing import Final

from delivery.arithmetic import Line, Term
from delivery.capacity_plan import Costs
from delivery.demand import CACHED, GROWING, MEASURED_PRODUCTS, MIX, UNCACHED, Demand

# Share of a processor, or of a line, that is planned to be busy at the peak. Requests then take 1 / (1 - share) times
# as long as they work.
BUSY: Final = 0.6


def rates_of(demand: Demand) -> tuple[list[Line], dict[str, Line]]:
    """Return the lines of the traffic, and of them those of operations: how often each comes, each second."""
    per_s = "requests/s"
    others = Line(
        "requests without an event", (Term("", demand.requests_per_s, per_s), Term("-", demand.events, per_s)), per_s
    )
    shares = sum(share for name, share in MIX.items() if name != "event")
    lines: list[Line] = [others]
    rates: dict[str, Line] = {}
    for name, share in MIX.items():
        rate = (
            Line("events", (Term("", demand.events, per_s),), per_s)
            if name == "event"
            else Line(name, (Term("", others.result, per_s), Term("×", share / shares, "of the mix")), per_s)
        )
        lines.append(rate)
        if name in CACHED:
            for operation, part in zip(CACHED[name], (demand.cached_share, 1 - demand.cached_share), strict=True):
                label = operation.replace("_", ", ")
                rates[operation] = Line(label, (Term("", rate.result, per_s), Term("×", part, "of them")), per_s)
                lines.append(rates[operation])
        else:
            rates[UNCACHED[name]] = rate
    # each checkout publishes a message of purchases, which both event functions receive
    checkouts = rates["checkout"].result
    messages = Line(
        "messages to apply", (Term("", demand.events, "events/s"), Term("+", checkouts, "orders/s")), "messages/s"
    )
    purchases = Line("of these with purchases", (Term("", checkouts, "orders/s"),), "messages/s")
    rates["event_applied"], rates["purchase_counted"] = messages, purchases
    return [*lines, messages, purchases], rates


def growth_of(operation: str, demand: Demand, costs: Costs) -> float:
    """Return how many times as much an operation costs in this catalog as in the measured one."""
    if operation not in GROWING or demand.products <= MEASURED_PRODUCTS:
        return 1.0
    return float(costs.sizes["search_growth"] ** math.log10(demand.products / MEASURED_PRODUCTS))


def work_of(part: str, unit: str, rates: Mapping[str, Line], demand: Demand, costs: Costs) -> list[Line]:
    """Return a line for each operation with a cost of this kind: how much of it, each second."""
    lines = []
    for name, rate in rates.items():
        each = float(costs.operations[name][part])
        if each == 0:
            continue
        terms = [Term("", rate.result, rate.unit), Term("×", each, unit)]
        # what is found and sent is a page in every catalog
        if part == "postgres_ms" and (growth := growth_of(name, demand, costs)) != 1:
            terms.append(Term("×", growth, "for the larger catalog"))
        lines.append(Line(name.replace("_", " "), tuple(terms), f"{unit}/s"))
    return lines
