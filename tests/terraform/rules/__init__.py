"""Rules that a plan must satisfy although Terraform and the provider's schema accept its violation.

Google refuses some of them only when the plan is applied; others break a shop silently. Each rule takes a Plan and
yields a sentence for every violation. ``RULES`` has them all; tests/terraform/test_rules.py applies them to every
profile, and tests/terraform/mistakes.py proves that each known mistake violates one.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tests.terraform.rules import access, capacity, messages, order, prerequisites, watching

if TYPE_CHECKING:
    from tests.terraform.conftest import Plan

RULES: "dict[str, Callable[[Plan], Iterable[str]]]" = {
    f"{module.__name__.rsplit('.', 1)[1]}.{rule.__name__}": rule
    for module in (access, capacity, messages, order, prerequisites, watching)
    for rule in module.RULES
}


def violations(plan: "Plan") -> list[str]:
    """Return every violation, each after the name of its rule."""
    return [f"{name}: {text}" for name, rule in RULES.items() for text in rule(plan)]
