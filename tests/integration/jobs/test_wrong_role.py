"""A job whose DATABASE_ROLE is wrong says so: the schema is there, and 409 would hide it from the alerts."""

from collections.abc import Iterator

import pytest

from shared.clients import postgres
from tests.integration.conftest import Running, Serve, settings_of
from tests.integration.shop import add_products

STRANGER, OUTSIDER = "aisle_stranger", "aisle_outsider"
PASSWORD = "of-a-test"


@pytest.fixture
def roles(env: dict[str, str], services: Running) -> Iterator[str]:
    """Add a role without any right, and a user who may not assume it; yield the address of the user."""
    database = env["DATABASE_URL"].rpartition("/")[2]
    services.administrate(f"CREATE ROLE {STRANGER}", f"CREATE ROLE {OUTSIDER} LOGIN PASSWORD '{PASSWORD}'")
    yield f"postgresql+pg8000://{OUTSIDER}:{PASSWORD}@127.0.0.1:{services.postgres.port}/{database}"
    services.administrate(f"DROP ROLE {STRANGER}", f"DROP ROLE {OUTSIDER}")


def answer(serve: Serve, environment: dict[str, str]) -> tuple[int, str, str]:
    """Return status, type and detail of a job's answer."""
    with settings_of(environment):
        response = serve("popular").post("/", json={})
    return response.status_code, response.json().get("type", ""), response.json().get("detail", "")


def test_each_wrong_role_is_a_failure_that_names_its_remedy(env: dict[str, str], roles: str, serve: Serve) -> None:
    add_products()
    wrong = {
        "The database has no role aisle_nowhere": env | {"DATABASE_ROLE": "aisle_nowhere"},
        "The role aisle_stranger cannot read the schema": env | {"DATABASE_ROLE": STRANGER},
        "The user may not assume the role aisle_stranger": env | {"DATABASE_URL": roles, "DATABASE_ROLE": STRANGER},
        "The role of the user cannot read the schema": env | {"DATABASE_URL": roles},
    }
    for said, environment in wrong.items():
        status, problem, detail = answer(serve, environment)
        assert (status, problem) == (500, "urn:aisle:problem:missing-setting"), detail
        assert said in detail
        assert "aisle_jobs for a job" in detail
    # the bystander
    assert answer(serve, env)[0] == 200


def test_a_role_that_may_not_use_the_schema_finds_no_table_and_is_not_told_to_migrate(
    env: dict[str, str], roles: str, serve: Serve
) -> None:
    postgres.write("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    status, _, detail = answer(serve, env | {"DATABASE_ROLE": STRANGER})
    assert (status, "cannot read the schema" in detail) == (500, True)
    postgres.write(f"GRANT USAGE ON SCHEMA public TO {STRANGER}")
    postgres.write(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {STRANGER}")
    postgres.write(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {STRANGER}")
    try:
        # with its rights it needs no other remedy; whatever it lacks beyond them is not about reading
        assert "DATABASE_ROLE" not in answer(serve, env | {"DATABASE_ROLE": STRANGER})[2]
    finally:
        postgres.write(f"DROP OWNED BY {STRANGER}")
