"""Rules for what recommendations show: pin, boost, bury, exclude. Each write is audited and in force at once."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.types import StringConstraints
from starlette.responses import Response

from shared.auth import requires
from shared.clients.postgres import transaction
from shared.domain.events import ProductId, printable
from shared.http.api import problem_responses
from shared.http.idempotency import Finish, IdempotencyKey, fingerprint, once
from shared.http.problems import validation_problem
from shared.storage.answers import invalidation
from shared.storage.operations import audit
from shared.storage.recommending import rules

router = APIRouter(prefix="/rules")

Writer = Annotated[str, requires("rules:write")]
RuleId = Annotated[int, Path(ge=1, le=2**53 - 1)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)]
Price = Annotated[float, Field(ge=0, le=9_999_999_999, allow_inf_nan=False)]
FACTORS = {"boost": (1.0, 100.0), "bury": (0.01, 1.0)}


class NewRule(BaseModel):
    """A rule: what it does, to which products (all that is given must match), and when."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["pin", "boost", "bury", "exclude"]
    product_id: ProductId | None = None
    category_id: ProductId | None = Field(None, description="this category and those below it")
    brand: Name | None = None
    tag: Name | None = None
    price_min: Price | None = None
    price_max: Price | None = None
    factor: float | None = Field(
        None, ge=0.01, le=100, allow_inf_nan=False, description="of scores: boost above 1 (2), bury below 1 (0.5)"
    )
    position: int | None = Field(None, ge=1, le=100, description="of a pinned product; 1 is the first")
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    active: bool = True
    note: Annotated[str, StringConstraints(max_length=500), AfterValidator(printable)] = Field(
        "", description="shown as the reason, where one is asked for"
    )

    @model_validator(mode="after")
    def whole(self) -> Self:
        """Require what the kind needs, refuse what it does not use, and fill in the usual factor."""
        selectors = (self.product_id, self.category_id, self.brand, self.tag, self.price_min, self.price_max)
        if all(selector is None for selector in selectors):
            raise ValueError("give product_id, category_id, brand, tag, price_min or price_max")
        if self.kind == "pin" and (self.product_id is None or any(one is not None for one in selectors[1:])):
            raise ValueError("a pin selects one product by product_id")
        if self.kind == "pin" and self.position is None:
            self.position = 1
        if self.kind != "pin" and self.position is not None:
            raise ValueError("position belongs to a pin")
        if self.kind in FACTORS:
            low, high = FACTORS[self.kind]
            if self.factor is None:
                self.factor = 2.0 if self.kind == "boost" else 0.5
            if not low <= self.factor <= high or self.factor == 1:
                raise ValueError(f"the factor of a {self.kind} is from {low:g} to {high:g}, and not 1")
        elif self.factor is not None:
            raise ValueError("factor belongs to boost and bury")
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise ValueError("price_min is above price_max")
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("ends_at is not after starts_at")
        return self


class Rule(NewRule):
    """A stored rule; ``in_force``: active and within its dates now."""

    id: int
    in_force: bool
    created_at: datetime
    updated_at: datetime


class Rules(BaseModel):
    """Every rule, oldest first."""

    rules: list[Rule]


def optional(schema: dict[str, Any]) -> None:
    """Describe a change: the fields of a rule, none of them required."""
    schema.update(NewRule.model_json_schema() | {"title": "ChangedRule", "required": []})


class ChangedRule(BaseModel):
    """What to change of a rule; what is not given stays, null takes it away."""

    model_config = ConfigDict(extra="allow", json_schema_extra=optional)


def done() -> None:
    """Drop the answers made by other rules."""
    invalidation.flush("recommendations", "similar", "trending")


@router.get("", dependencies=[requires("rules:read")])
def get_rules() -> Rules:
    """List every rule, in force or not."""
    return Rules.model_construct(rules=[Rule.model_construct(**one) for one in rules.list_rules()])


@router.post("", status_code=201, response_model=Rule, responses=problem_responses(404, 409))
def add_rule(actor: Writer, rule: NewRule, key: IdempotencyKey = None) -> Response:
    """Add a rule; it is in force from the next answer on, or from its date."""

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            added = rules.add(connection, rule.model_dump())
            audit.record(connection, actor, "rule.add", str(added["id"]), after=added)
            answer = Response(
                Rule.model_construct(**added).model_dump_json(),
                201,
                {"Location": f"/admin/rules/{added['id']}"},
                "application/json",
            )
            finish(connection, answer)
        return answer

    answer = once(key, "POST /admin/rules", fingerprint(rule), work)
    done()
    return answer


@router.patch("/{rule_id}", responses=problem_responses(404))
def change_rule(actor: Writer, rule_id: RuleId, changes: ChangedRule) -> Rule:
    """Change a rule; what is not given stays, null takes it away."""
    given = changes.model_extra or {}
    with transaction() as connection:
        before = rules.lock(connection, rule_id)
        merged: dict[str, Any] = {name: before[name] for name in rules.COLUMNS} | given
        try:
            rule = NewRule.model_validate(merged)
        except ValidationError as error:
            raise validation_problem(error) from None
        after = rules.change(connection, rule_id, rule.model_dump())
        audit.record(connection, actor, "rule.change", str(rule_id), before=before, after=after)
    done()
    return Rule.model_construct(**after)


@router.delete("/{rule_id}", status_code=204, responses=problem_responses(404))
def delete_rule(actor: Writer, rule_id: RuleId) -> Response:
    """Delete a rule."""
    with transaction() as connection:
        before = rules.lock(connection, rule_id)
        rules.delete(connection, rule_id)
        audit.record(connection, actor, "rule.delete", str(rule_id), before=before)
    done()
    return Response(status_code=204)
