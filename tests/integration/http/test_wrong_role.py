"""A function whose DATABASE_ROLE is wrong says so, as jobs and the doctor do, and says nothing else of the database."""

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.conftest import Environment, Running, Serve, settings_of
from tests.integration.shop import add_products

STRANGER, OUTSIDER = "aisle_visitor", "aisle_onlooker"
PASSWORD = "of-another-test"


@pytest.fixture
def roles(env: Environment, services: Running) -> Iterator[str]:
    """Add a role without any right, and a user who may not assume it; yield the address of the user."""
    database = env["DATABASE_URL"].rpartition("/")[2]
    services.administrate(f"CREATE ROLE {STRANGER}", f"CREATE ROLE {OUTSIDER} LOGIN PASSWORD '{PASSWORD}'")
    yield f"postgresql+pg8000://{OUTSIDER}:{PASSWORD}@127.0.0.1:{services.postgres.port}/{database}"
    services.administrate(f"DROP ROLE {STRANGER}", f"DROP ROLE {OUTSIDER}")


def read(serve: Serve, environment: Environment, path: str = "/products/1") -> httpx.Response:
    """Return the answer of the function products with these settings."""
    with settings_of(environment):
        return serve("products").get(path)


@pytest.mark.parametrize("path", ["/products/1", "/products?search=x"])
def test_each_wrong_role_is_explained_and_no_secret_is_told(
    env: Environment, roles: str, serve: Serve, path: str
) -> None:
    add_products()
    wrong = {
        "The database has no role aisle_nowhere": env | {"DATABASE_ROLE": "aisle_nowhere"},
        "The role aisle_visitor cannot read the schema": env | {"DATABASE_ROLE": STRANGER},
        "The user may not assume the role aisle_visitor": env | {"DATABASE_URL": roles, "DATABASE_ROLE": STRANGER},
        "The role of the user cannot read the schema": env | {"DATABASE_URL": roles},
    }
    for text, environment in wrong.items():
        answer = read(serve, environment, path)
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:aisle:problem:missing-setting"), answer.text
        assert text in answer.json()["detail"]
        assert "aisle_app for a function" in answer.json()["detail"]
        for secret in (PASSWORD, env["DATABASE_URL"].partition("@")[0].rpartition(":")[2], "127.0.0.1", OUTSIDER):
            assert secret not in answer.text
    # the bystander
    assert read(serve, env, path).status_code == 200


def test_any_other_failure_stays_unexplained(env: Environment, serve: Serve) -> None:
    from shared.clients import postgres

    add_products()
    postgres.write("ALTER TABLE products RENAME COLUMN name TO title")
    answer = read(serve, env)
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:aisle:problem:internal-error")
    assert answer.json()["detail"] == "The error was logged under this request id."


def test_before_the_first_migration_a_request_may_come_again(services: Running, serve: Serve) -> None:
    services.administrate("CREATE DATABASE without_schema")
    try:
        answer = read(serve, services.environment | {"DATABASE_URL": services.url("without_schema")})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "migrate" in answer.json()["detail"]
    finally:
        services.administrate("DROP DATABASE without_schema WITH (FORCE)")
