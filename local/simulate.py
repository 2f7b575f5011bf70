"""`./aisle simulate`: the capacity plan of a shop on paper."""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from delivery import plan_texts
from delivery.capacity import plan_for
from delivery.capacity_plan import Plan
from delivery.demand import Demand, InvalidDemand
from local.errors import Refused

SEE: Final = "See ./aisle simulate --help."
NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
# where the options that were given are kept until all are read
GIVEN: Final = "given"


class _Options(argparse.ArgumentParser):
    """Refuses in one line instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message[:1].upper()}{message[1:]}. {SEE}")


class _Once(argparse.Action):
    """Stores a value, and refuses the option if it is given twice."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if self in (given := namespace.__dict__.setdefault(GIVEN, [])):
            parser.error(f"{option} is given twice")
        given.append(self)
        setattr(namespace, self.dest, values)


def _number(text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def _count(text: str) -> int:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not value.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(value)


def demand_of(arguments: Sequence[str]) -> tuple[Demand, str]:
    """Return the demand of the options, and the form of the answer. Raises Refused."""
    parser = _Options(prog="./aisle simulate", add_help=False, allow_abbrev=False)
    parser.add_argument("--requests-per-s", type=_number, required=True, action=_Once)
    parser.add_argument("--products", type=_count, default=Demand.products, action=_Once)
    parser.add_argument("--users", type=_count, default=Demand.users, action=_Once)
    parser.add_argument("--events-per-s", type=_number, action=_Once)
    parser.add_argument("--cached-share", type=_number, default=Demand.cached_share, action=_Once)
    parser.add_argument("--peak-ratio", type=_number, default=Demand.peak_ratio, action=_Once)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form")
    form.add_argument("--tfvars", action="store_const", const="tfvars", dest="form")
    options = vars(parser.parse_args(list(arguments)))
    options.pop(GIVEN, None)
    chosen = options.pop("form") or "text"
    try:
        return Demand(**options), chosen
    except InvalidDemand as error:
        raise Refused(f"{error} {SEE}") from None


def simulate(arguments: Sequence[str]) -> int:
    """Print the plan for a demand: as text, as JSON, or as variables of Terraform.

    Returns 1 for variables that deploy less than the plan needs.
    """
    demand, form = demand_of(arguments)
    forms: dict[str, Callable[[Plan], str]] = {
        "text": plan_texts.text,
        "json": lambda plan: json.dumps(plan_texts.as_json(plan), indent=2, ensure_ascii=False) + "\n",
        "tfvars": plan_texts.terraform_values,
    }
    plan = plan_for(demand)
    print(forms[form](plan), end="")
    if form != "tfvars" or not plan.exceeded:
        return 0
    for limit in plan.exceeded:
        print(f"aisle: This plan exceeds a limit. {plan_texts.describe_limit(limit)}", file=sys.stderr)
    return 1
