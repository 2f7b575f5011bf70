"""In Cloud SQL every function is a Postgres user of its own; the job ``migrate`` grants each its role."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import DBAPIError

from jobs import migrate as migrate_job
from jobs import retention as retention_job
from shared.clients import postgres
from shared.errors import InvalidRequest
from shared.storage.schema import database_roles
from tests.integration.cloud_sql_server import FUNCTION, JOB, MIGRATOR
from tests.integration.conftest import Running, settings_of

DATABASE = "cloud_roles"


@pytest.fixture(scope="module")
def empty(services: Running, cloud_sql_users: tuple[str, ...]) -> Iterator[str]:
    """Create a database as Cloud SQL's API does: it belongs to cloudsqlsuperuser."""
    services.administrate(f"CREATE DATABASE {DATABASE} OWNER cloudsqlsuperuser")
    yield DATABASE
    services.administrate(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@contextmanager
def acting(services: Running, user: str, role: str, **more: str) -> Iterator[None]:
    """Act as a user in a role, with the settings that Terraform gives its function."""
    address = f"postgresql+pg8000://{user.replace('@', '%40')}@127.0.0.1:{services.postgres.port}/{DATABASE}"
    with settings_of(services.environment | {"DATABASE_URL": address, "DATABASE_ROLE": role} | more):
        yield


def run_migrate(services: Running, writers: str = FUNCTION) -> dict:
    more = {"DATABASE_OWNERS": f"{JOB},{MIGRATOR}", "DATABASE_WRITERS": writers}
    with acting(services, MIGRATOR, "cloudsqlsuperuser", **more):
        return migrate_job.migrate.run(migrate_job.Migrate())


@pytest.fixture(scope="module")
def migrated(services: Running, empty: str) -> dict:
    # One extension is not trusted: in Cloud SQL cloudsqlsuperuser may create it, in PostgreSQL only a superuser.
    from local import postgres as server

    with server.connection(services.postgres.port or 0, services.password, empty) as connection:
        for name in database_roles.EXTENSION.findall("\n".join(f.read_text() for f in database_roles.available())):
            connection.run(f"CREATE EXTENSION IF NOT EXISTS {name}")
    return run_migrate(services)


def test_an_ordinary_user_can_migrate_and_aisle_owner_owns_the_schema(migrated: dict, services: Running) -> None:
    assert migrated["applied"][0] == "0001_shop"
    with acting(services, FUNCTION, "aisle_app"):
        owners = postgres.read("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert [row[0] for row in owners] == ["aisle_owner"]


def test_migrating_again_changes_nothing(migrated: dict, services: Running) -> None:
    assert run_migrate(services)["applied"] == []


def test_a_function_reads_and_writes_rows_but_cannot_change_tables(migrated: dict, services: Running) -> None:
    with acting(services, FUNCTION, "aisle_app"):
        postgres.write("INSERT INTO products (name, price) VALUES ('Lamp', 9.99)")
        assert postgres.read("SELECT name FROM products")[0][0] == "Lamp"
        with pytest.raises(DBAPIError, match="must be owner"):
            postgres.write("DROP TABLE products")
        with pytest.raises(DBAPIError, match="permission denied"):
            postgres.write("CREATE TABLE mine (id integer)")


def test_functions_can_write_to_partitions_that_a_job_created(migrated: dict, services: Running) -> None:
    with acting(services, JOB, "aisle_owner"):
        retention_job.retention.run(retention_job.Retention())
        postgres.write("SELECT ensure_event_partitions('2031-01-01', '2031-01-31')")
    with acting(services, FUNCTION, "aisle_app"):
        postgres.write(
            "INSERT INTO events (event_id, user_id, event_type, occurred_at)"
            " VALUES (gen_random_uuid(), 1, 'view', '2031-01-05')"
        )
        assert postgres.read("SELECT count(*) FROM events_2031_01")[0][0] == 1


def test_the_error_names_a_user_that_does_not_exist(migrated: dict, services: Running) -> None:
    with pytest.raises(InvalidRequest, match=r"There is no Postgres user aisle-new@shop-test-123\.iam"):
        run_migrate(services, writers="aisle-new@shop-test-123.iam")
