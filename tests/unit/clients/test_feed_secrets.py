"""A feed's secret is one line that a header can have."""

import pytest

from shared.clients import feed_secrets
from shared.errors import InvalidRequest


@pytest.mark.parametrize("value", ["Bearer s3cret\ns3cret-two", "user:wörd", "Bearer s3cret\x7f"])
def test_a_secret_that_no_header_can_have_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    # Secret Manager gives any bytes; FEED_SECRETS has lines
    monkeypatch.setattr(feed_secrets, "_read", lambda _name: value)
    with pytest.raises(InvalidRequest, match="aisle-feed-a must be one line") as refused:
        feed_secrets.read_secret("aisle-feed-a")
    assert "s3cret" not in refused.value.detail


def test_a_line_of_ascii_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_secrets, "_read", lambda _name: "user:a b~!")
    assert feed_secrets.read_secret("aisle-feed-a") == "user:a b~!"
