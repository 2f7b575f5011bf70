"""Postgres users as Cloud SQL creates them: each logs in as itself, without a password."""

from collections.abc import Iterator

import pytest

from local import postgres
from tests.integration.conftest import Running

MIGRATOR = "aisle-migrate@shop-test-123.iam"
JOB = "aisle-retention@shop-test-123.iam"
FUNCTION = "aisle-products@shop-test-123.iam"
USERS = (MIGRATOR, JOB, FUNCTION)


@pytest.fixture(scope="module")
def users(services: Running) -> Iterator[tuple[str, ...]]:
    """Add Cloud SQL's roles and users to the server. It trusts them without a password, because the proxy in front of
    Cloud SQL has authenticated them.
    """
    services.administrate(
        "CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEROLE CREATEDB",
        *(f'CREATE ROLE "{user}" LOGIN' for user in USERS),
        f'GRANT cloudsqlsuperuser TO "{MIGRATOR}"',
    )
    rules = postgres.data_folder(services.state) / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("".join(f'host all "{user}" 127.0.0.1/32 trust\n' for user in USERS) + before)
    services.administrate("SELECT pg_reload_conf()")
    yield USERS
    rules.write_text(before)
    services.administrate(
        "SELECT pg_reload_conf()",
        "DROP ROLE IF EXISTS aisle_owner",
        "DROP ROLE IF EXISTS aisle_jobs",
        "DROP ROLE IF EXISTS aisle_app",
        *(f'DROP ROLE "{user}"' for user in USERS),
        "DROP ROLE cloudsqlsuperuser",
    )
