"""Deployed functions trust no id of the shop's own, and can check API keys."""

from tests.terraform.conftest import Plan
from tests.terraform.test_plan import environment, secrets


def test_the_shop_s_ids_are_not_trusted_unless_said(plan: Plan) -> None:
    for name, function in plan.functions().items():
        is_public = plan.listed.entries[name].public
        assert environment(function).get("TRUST_SHOP_IDS") == ("false" if is_public else None), name
        assert environment(function).get("IDENTITY_ISSUERS") == ("[]" if is_public else None), name


def test_every_http_function_has_the_keys_of_api_keys(plan: Plan) -> None:
    for name, function in plan.functions().items():
        assert ("API_MAC_KEYS" in secrets(function)) == (plan.listed.entries[name].public), name


def test_a_publishable_key_is_in_no_key_of_the_balancer_s_cache(prod: Plan) -> None:
    policies = [
        policy["cache_key_policy"][0]
        for service in prod.of("google_compute_backend_service").values()
        for policy in service.get("cdn_policy") or []
    ]
    assert policies
    assert all("key" in policy["query_string_blacklist"] for policy in policies)
