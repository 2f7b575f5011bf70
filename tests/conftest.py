"""For every tier: each test starts with new clients and settings."""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.examples import examples

# property tests without a number of their own; a deadline would measure the machine
settings.register_profile("aisle", max_examples=examples(100), deadline=None)
settings.load_profile("aisle")


def pytest_collection_finish() -> None:
    """Leave the collected tests out of every later search for garbage: they stay, and are most of what there is."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def leaks() -> Iterator[None]:
    """Find what the tests of a file left open when the file ends, so that no test of another file fails for it."""
    yield
    gc.collect()


# settings of a running system or of the developer's shell must not reach the tests
FOREIGN = (
    "ADMIN_TOKEN",
    "AISLE_DATA",
    "API_MAC_KEYS",
    "AISLE_HOME",
    "AISLE_OSV_URL",
    "AISLE_PORT",
    "CLOUD_SQL_INSTANCE",
    "DATABASE_ROLE",
    "DATABASE_URL",
    "ENVIRONMENT",
    "FUNCTION_SIGNATURE_TYPE",
    "FUNCTION_TARGET",
    "GOOGLE_CLOUD_PROJECT",
    "IDENTITY_ISSUERS",
    "JOBS_TOKEN",
    "JOBS_URL",
    "LOG_EXECUTION_ID",
    "PUBSUB_EMULATOR_HOST",
    "REDIS_CA",
    "REDIS_URL",
    "SCHEDULER_EMULATOR_HOST",
    "SCHEDULER_LOCATION",
    "TOKEN_KEYS",
    "TRUST_SHOP_IDS",
    "WEBHOOK_KEYS",
)
# why tests/terraform is skipped
NO_TERRAFORM = "there is no Terraform that plans offline; set AISLE_TERRAFORM to one"
for _name in FOREIGN:
    os.environ.pop(_name, None)
# gRPC's own log lines, from C, would mix with pytest's
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line that the infrastructure was not tested; its tests alone would be skips among others."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any(NO_TERRAFORM in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"tests/terraform was not run: {NO_TERRAFORM}")


@pytest.fixture(autouse=True)
def _no_clients_left() -> Iterator[None]:
    """Forget cached clients and settings after each test, so that no test sees another's environment."""
    from shared.clients import reset

    yield
    reset()
