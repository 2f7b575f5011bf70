"""What a request is called in spans and metrics."""

import pytest

from shared.http.observed import METHODS, method_of


@pytest.mark.parametrize("method", ["get", "GETS", "PROPFIND", "", "ann@shop.example"])
def test_a_word_that_is_no_method_is_no_series_of_its_own(method: str) -> None:
    assert method_of({"type": "http", "method": method}) == "_OTHER"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_standard_method_keeps_its_name(method: str) -> None:
    assert method_of({"type": "http", "method": method}) == method
