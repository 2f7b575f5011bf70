"""Fingerprints of requests."""

from functions.products.schemas import SuggestionQuery
from shared.http.idempotency import fingerprint


def test_two_requests_are_the_same_only_part_by_part() -> None:
    assert fingerprint("ab", b"c") == fingerprint(b"ab", "c")
    assert fingerprint("a", "bc") != fingerprint("ab", "c")
    assert fingerprint(SuggestionQuery(q="a")) != fingerprint(SuggestionQuery(q="a", k=10))
