"""End to end, too, no log of a local system may have a secret: see tests/run_logs.py."""

from collections.abc import Iterator

import pytest

from tests.run_logs import RunLogs, searched


@pytest.fixture(scope="session", autouse=True)
def run_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunLogs]:
    """The logs of the whole run, searched after the last test."""
    with searched(tmp_path_factory.getbasetemp()) as logs:
        yield logs
