"""Mail is sent by a secret of its own, and no log has its links; test_first_admin.py says where these lead."""

import re

from shared.account_links import PATHS
from tests.terraform.conftest import Plan
from tests.terraform.test_plan import environment, secrets


def test_without_mail_no_function_has_settings_of_it(plan: Plan) -> None:
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
