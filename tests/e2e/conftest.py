"""End to end, too, no log of a local system may have a secret: see tests/run_logs.py."""

from tests.integration.conftest import run_logs

__all__ = ["run_logs"]
