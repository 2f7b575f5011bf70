"""In Cloud SQL every function is a Postgres user of its own; the job ``migrate`` grants each its role."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import DBAPIError

from jobs import migrate as migrate_job
from jobs import retention as retention_job
from local.apps import create
from shared.clients import postgres
from shared.errors import InvalidRequest
from shared.manifest import manifest
from shared.messages import CATALOG_CHANGES, USER_EVENTS
from shared.storage.operations import retention
from shared.storage.recommending import models
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


def run_migrate(services: Running, writers: str = FUNCTION, owners: str = MIGRATOR, jobs: str = JOB) -> dict:
    more = {"DATABASE_OWNERS": owners, "DATABASE_JOBS": jobs, "DATABASE_WRITERS": writers}
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
    with acting(services, JOB, "aisle_jobs"):
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


@contextmanager
def dead_letter_subscriptions(project: str) -> Iterator[None]:
    """The subscriptions from which replay_dead_letters pulls, as Terraform makes them."""
    from google.cloud import pubsub_v1

    with pubsub_v1.SubscriberClient() as subscriber:
        paths = [
            subscriber.subscription_path(project, f"{topic}-dead-letter") for topic in (USER_EVENTS, CATALOG_CHANGES)
        ]
        for path in paths:
            subscriber.create_subscription(name=path, topic=path.replace("/subscriptions/", "/topics/"))
        try:
            yield
        finally:
            for path in paths:
                subscriber.delete_subscription(subscription=path)


def test_every_scheduled_job_runs_without_owning_a_table(migrated: dict, services: Running) -> None:
    with acting(services, JOB, "aisle_jobs"):
        names = [name for name, entry in manifest().entries.items() if entry.kind == "job" and entry.schedule]
        assert "retention" in names
        with dead_letter_subscriptions(services.environment["GOOGLE_CLOUD_PROJECT"]):
            for name in names:
                response = create(name).test_client().post("/", json={})
                assert response.status_code == 200, (name, response.text)


def publish_model() -> int:
    return models.publish(
        job="similarity",
        started_at=datetime.now(UTC),
        algorithm="cosine",
        parameters={},
        metrics={},
        rows=[b"1\t{2}\t{0.5}\t{3}\n"],
    )


def test_a_job_publishes_and_drops_models_but_cannot_drop_the_active_one(migrated: dict, services: Running) -> None:
    with acting(services, JOB, "aisle_jobs"):
        versions = [publish_model() for _ in range(models.MAX_VERSIONS + 1)]
        assert models.drop_surplus() == versions[:1]
        assert postgres.read("SELECT count(*) FROM item_similarity")[0][0] == models.MAX_VERSIONS
        assert postgres.read("SELECT DISTINCT tableowner FROM pg_tables WHERE tablename ~ '^item_sim'") == [
            ("aisle_owner",)
        ]
        with pytest.raises(DBAPIError, match="is active"):
            postgres.write("SELECT drop_similarity_partition(:v)", v=versions[-1])
    # the functions read what jobs published
    with acting(services, FUNCTION, "aisle_app"):
        assert postgres.read("SELECT count(*) FROM item_similarity")[0][0] == models.MAX_VERSIONS


def test_a_job_drops_expired_partitions_of_events_and_no_other_table(migrated: dict, services: Running) -> None:
    with acting(services, JOB, "aisle_jobs"):
        postgres.write("SELECT ensure_event_partitions('2001-01-01', '2001-01-31')")
        assert retention.drop_expired_partitions(13) == ["events_2001_01"]
        (current,) = postgres.read("SELECT to_char(now() AT TIME ZONE 'UTC', '\"events_\"YYYY_MM')")
        for table in (current[0], "products", "events", "events_default", "events_2001_01; DROP TABLE products"):
            with pytest.raises(DBAPIError, match="no partition of events older than a month"):
                postgres.write("SELECT drop_event_partition(:name)", name=table)


@pytest.mark.parametrize(("user", "role"), [(JOB, "aisle_jobs"), (FUNCTION, "aisle_app")])
def test_neither_jobs_nor_functions_can_change_the_schema_or_the_audit_log(
    migrated: dict, services: Running, user: str, role: str
) -> None:
    with acting(services, user, role):
        postgres.write("INSERT INTO audit_log (actor, action, subject) VALUES ('admin-token', 'rule.add', '1')")
        for statement in (
            "DROP TABLE products",
            "ALTER TABLE audit_log DISABLE TRIGGER ALL",
            "TRUNCATE audit_log",
            "UPDATE audit_log SET actor = 'somebody else'",
            "DELETE FROM audit_log",
            "DELETE FROM schema_migrations",
            "CREATE TABLE mine (id integer)",
            "SET ROLE aisle_owner",
        ):
            with pytest.raises(DBAPIError, match=r"must be owner|permission denied|append-only"):
                postgres.write(statement)
        assert postgres.read("SELECT actor FROM audit_log LIMIT 1")[0][0] == "admin-token"


def test_functions_cannot_call_what_acts_as_the_owner(migrated: dict, services: Running) -> None:
    with acting(services, FUNCTION, "aisle_app"):
        for call in (
            "ensure_event_partitions('2031-01-01', '2031-01-31')",
            "drop_event_partition('events_2001_01')",
            "create_similarity_partition(1)",
            "attach_similarity_partition(1)",
            "drop_similarity_partition(1)",
        ):
            with pytest.raises(DBAPIError, match="permission denied for function"):
                postgres.write(f"SELECT {call}")


@pytest.mark.parametrize(("user", "role"), [(JOB, "aisle_jobs"), (FUNCTION, "aisle_app")])
def test_jobs_and_functions_merge_documents_into_an_index_that_they_do_not_own(
    migrated: dict, services: Running, user: str, role: str
) -> None:
    with acting(services, user, role):
        postgres.write("INSERT INTO products (external_id, name, price) VALUES (:role, 'Teapot', 1)", role=role)
        assert postgres.read("SELECT merge_pending_documents()")[0][0] > 0
        with pytest.raises(DBAPIError, match="must be owner of index"):
            postgres.read("SELECT gin_clean_pending_list('products_document')")


def test_a_job_that_was_an_owner_stays_one_for_one_deployment(migrated: dict, services: Running) -> None:
    # as the previous release left it
    services.administrate(f'REVOKE aisle_jobs FROM "{JOB}" GRANTED BY cloudsqlsuperuser')
    run_migrate(services, owners=f"{JOB},{MIGRATOR}", jobs="")
    run_migrate(services)
    for role in ("aisle_owner", "aisle_jobs"):
        with acting(services, JOB, role):
            assert postgres.read("SELECT current_user")[0][0] == role
    run_migrate(services)
    with acting(services, JOB, "aisle_jobs"):
        assert postgres.read("SELECT current_user")[0][0] == "aisle_jobs"
        with pytest.raises(DBAPIError, match="permission denied"):
            postgres.write("SET ROLE aisle_owner")
    # the operator's and the migrator's membership is not touched
    with acting(services, MIGRATOR, "aisle_owner"):
        assert postgres.read("SELECT current_user")[0][0] == "aisle_owner"


def test_the_first_admin_is_let_in_without_owning_a_table(migrated: dict, services: Running) -> None:
    with acting(services, JOB, "aisle_jobs", PUBLIC_URL="https://shop.example"):
        for existed in (False, True):
            response = create("first_admin").test_client().post("/", json={"email": "ada@example.com"})
            assert response.status_code == 200, response.text
            assert response.json["existed"] is existed
        assert postgres.read("SELECT role FROM users WHERE email = 'ada@example.com'") == [("admin",)]
