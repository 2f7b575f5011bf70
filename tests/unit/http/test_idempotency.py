"""Fingerprints of requests, and what is stored of an answer."""

import pytest
from fastapi import Response

from functions.products.schemas.catalog import SuggestionQuery
from shared.http.idempotency import MARGIN_S, fingerprint, kept_answer
from shared.settings import Settings


def test_two_requests_are_the_same_only_part_by_part() -> None:
    assert fingerprint("ab", b"c") == fingerprint(b"ab", "c")
    assert fingerprint("a", "bc") != fingerprint("ab", "c")
    assert fingerprint(SuggestionQuery(q="a")) != fingerprint(SuggestionQuery(q="a", k=10))


@pytest.mark.parametrize(("most", "body"), [(None, b"x" * 100), (100, b"x" * 100), (99, b"")])
def test_a_body_longer_than_the_limit_is_not_stored(most: int | None, body: bytes) -> None:
    answer = Response(b"x" * 100, 201, {"location": "/orders/1", "etag": '"1"'}, "application/json")
    kept = kept_answer(answer, most)
    assert (kept.status, kept.body, kept.headers) == (201, body, {"location": "/orders/1"})


def test_an_interrupted_checkout_holds_its_key_for_fifteen_seconds() -> None:
    # docs/failure-modes.md says so
    assert Settings.model_fields["payment_timeout_s"].default + MARGIN_S == 15
