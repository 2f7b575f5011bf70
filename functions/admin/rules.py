"""Routes of rules: pin, boost, bury or exclude products in recommendations. A change applies at once."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import ValidationError
from starlette.responses import Response

from functions.admin.answering import created
from functions.admin.schemas.rules import Rule, RuleList, RulePatch, RuleWrite
from shared.clients.postgres import transaction
from shared.http import IdempotencyKey
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.http.idempotency import Finish, fingerprint, once
from shared.storage.answers import invalidation, protocol
from shared.storage.operations import audit
from shared.storage.recommending import rules
from shared.validation import validation_problem

router = APIRouter(prefix="/rules", tags=["rules"])
RulesAdmin = Annotated[str, requires("rules:write")]
RuleId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the rule.")]


def drop_answers() -> None:
    """Drop the stored answers that rules affect."""
    invalidation.flush(*protocol.RULE_SCOPES)


@router.get("", dependencies=[requires("rules:read")])
def list_rules() -> RuleList:
    """List every rule, oldest first."""
    return RuleList.model_construct(rules=[Rule.model_construct(**rule) for rule in rules.list_rules()])


@router.post("", status_code=201, response_model=Rule, responses=problem_responses(404, 409))
def create_rule(actor: RulesAdmin, rule: RuleWrite, key: IdempotencyKey = None) -> Response:
    """Create a rule, in force from the next answer or from its start on. Audited."""

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            added = rules.add(connection, rule.model_dump())
            audit.record(connection, actor, "rule.add", str(added["id"]), after=added)
            answer = created(Rule.model_construct(**added), f"/admin/rules/{added['id']}")
            finish(connection, answer)
        return answer

    answer = once(key, "POST /admin/rules", fingerprint(rule), work)
    drop_answers()
    return answer


@router.patch("/{rule_id}", responses=problem_responses(404))
def update_rule(actor: RulesAdmin, rule_id: RuleId, patch: RulePatch) -> Rule:
    """Change a rule. Omitted fields stay as they are; null clears a field. Audited."""
    changes = patch.model_extra or {}
    with transaction() as connection:
        before = rules.lock(connection, rule_id)
        merged: dict[str, Any] = {name: before[name] for name in rules.COLUMNS}
        if "external_id" in changes:
            # another product, or none; the product_id of the change may say the same
            merged["product_id"] = None
        merged |= changes
        try:
            rule = RuleWrite.model_validate(merged)
        except ValidationError as error:
            raise validation_problem(error) from None
        after = rules.change(connection, rule_id, rule.model_dump())
        audit.record(connection, actor, "rule.change", str(rule_id), before=before, after=after)
    drop_answers()
    return Rule.model_construct(**after)


@router.delete("/{rule_id}", status_code=204, responses=problem_responses(404))
def delete_rule(actor: RulesAdmin, rule_id: RuleId) -> Response:
    """Delete a rule. Audited."""
    with transaction() as connection:
        before = rules.lock(connection, rule_id)
        rules.delete(connection, rule_id)
        audit.record(connection, actor, "rule.delete", str(rule_id), before=before)
    drop_answers()
    return Response(status_code=204)
