"""The examples in the API's description are what a running system answers."""

import pytest

from local.api_examples import __main__ as command


def test_the_stored_examples_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"]) == 0, capsys.readouterr().err
