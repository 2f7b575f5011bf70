"""`./aisle simulate`: the capacity plan of a shop on paper."""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from typing import NoReturn

from delivery import plan_texts
from delivery.capacity import plan_for
from delivery.capacity_plan import Plan
from delivery.demand import Demand, InvalidDemand
from local.errors import Refused

SEE = "See ./aisle simulate --help."


class _Options(argparse.ArgumentParser):
    """Refuses in one line instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message[:1].upper()}{message[1:]}. {SEE}")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def demand_of(arguments: Sequence[str]) -> tuple[Demand, str]:
    """Return the demand of the options, and the form of the answer. Raises Refused."""
    parser = _Options(prog="./aisle simulate", add_help=False, allow_abbrev=False)
    parser.add_argument("--requests-per-s", type=_number, required=True)
    parser.add_argument("--products", type=_count, default=Demand.products)
    parser.add_argument("--users", type=_count, default=Demand.users)
    parser.add_argument("--events-per-s", type=_number)
    parser.add_argument("--cached-share", type=_number, default=Demand.cached_share)
    parser.add_argument("--peak-ratio", type=_number, default=Demand.peak_ratio)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form")
    form.add_argument("--tfvars", action="store_const", const="tfvars", dest="form")
    options = vars(parser.parse_args(list(arguments)))
    chosen = options.pop("form") or "text"
    try:
        return Demand(**options), chosen
    except InvalidDemand as error:
        raise Refused(f"{error} {SEE}") from None


def simulate(arguments: Sequence[str]) -> int:
    """Print the plan for a demand: as text, as JSON, or as variables of Terraform."""
    demand, form = demand_of(arguments)
    forms: dict[str, Callable[[Plan], str]] = {
        "text": plan_texts.text,
        "json": lambda plan: json.dumps(plan_texts.as_json(plan), indent=2, ensure_ascii=False) + "\n",
        "tfvars": plan_texts.terraform_values,
    }
    print(forms[form](plan_for(demand)), end="")
    return 0
