"""Links in mails begin with an address that reaches the accounts function, and mail is sent by a secret of its own."""

import re

from shared.account_links import PATHS
from shared.manifest import Manifest
from tests.terraform.conftest import Plan
from tests.terraform.test_plan import environment, secrets

LINK_ISSUERS = {"accounts", "admin"}


def test_who_issues_links_knows_where_they_lead(plan: Plan) -> None:
    balancer = plan.by_key("google_compute_url_map", "this").get("this")
    hosts = balancer["host_rule"][0]["hosts"] if balancer else [r"accounts-[\w-]+\.europe-west1\.run\.app"]
    for name in LINK_ISSUERS:
        address = environment(plan.functions()[name])["PUBLIC_URL"]
        assert re.fullmatch(f"https://{hosts[0]}", address), (name, address)


def test_without_mail_no_function_has_settings_of_it(plan: Plan, listed: Manifest) -> None:
    for name, function in plan.functions().items():
        assert not any(setting.startswith("MAIL_") for setting in [*environment(function), *secrets(function)]), name


def test_request_logs_hold_no_link(plan: Plan) -> None:
    ((_name, exclusion),) = plan.of("google_logging_project_exclusion").items()
    pattern = exclusion["filter"].removeprefix('httpRequest.requestUrl=~"').removesuffix('"')
    assert not exclusion.get("disabled")
    for path in set(PATHS.values()):
        for query in ("?token=a.b", "?utm_source=mail&token=a.b"):
            assert re.search(pattern, f"https://shop.example{path}{query}")
    for other in ("/auth/login", "/auth/password-reset", "/products?search=token=", "/products?token=1"):
        assert not re.search(pattern, f"https://shop.example{other}")
