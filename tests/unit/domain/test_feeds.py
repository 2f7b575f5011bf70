"""A feed's URL has no credentials, and its secret has a name of feeds only."""

import pytest

from shared.domain.feeds import feed_url, secret_name


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/feed.csv",
        "https://shop.example:8443/feed?page=1&lang=de",
        "http://127.0.0.1:9000/feed.xml",
        "gs://bucket/feeds/feed.csv.gz",
        "https://shop.example:65535/feed%23a%20b",
        # words of a shop that are no credentials
        "https://shop.example/feed?keyword=1&passport=2&tokens=3",
    ],
)
def test_a_public_address_is_taken(url: str) -> None:
    assert feed_url(url) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://user@shop.example/feed", "user or password"),
        ("https://user:word@shop.example/feed", "user or password"),
        ("https://shop.example/feed?token=1", "'token'"),
        ("https://shop.example/feed?a=1&API_Key=", "'API_Key'"),
        ("https://shop.example/feed?x-access-token=1", "'x-access-token'"),
        ("file:///etc/passwd", "https://"),
        ("https:///feed", "https://"),
        ("filecache::https://shop.example/feed", "https://"),
        ("https://[::1/feed", "URL"),
        ("https://shop.example:65536/feed", "URL"),
        # a secret of the form ?name=value would become part of it, and not be sent
        ("https://shop.example/feed#a", "fragment"),
        ("https://shop.example/feed\r\nHost: other", "line breaks"),
    ],
)
def test_credentials_and_other_schemes_are_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        feed_url(url)
    assert "word@" not in str(refused.value)


def test_fifty_characters_of_a_refused_parameter_are_shown() -> None:
    for length in (50, 51):
        name = f"token{'_' * (length - 8)}key"
        with pytest.raises(ValueError, match="which is a credential") as refused:
            feed_url(f"https://shop.example/feed?{name}=1")
        assert f"parameter {name[:50]!r}, which" in str(refused.value)


@pytest.mark.parametrize("name", ["aisle-feed-supplier", "aisle-feed-a_B-1"])
def test_a_name_of_feeds_is_taken(name: str) -> None:
    assert secret_name(name) == name


@pytest.mark.parametrize(
    "name", ["aisle-token-keys", "aisle-feed-", "aisle-feed-a/versions/1", "user:password", "aisle-feed-a b", ""]
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="aisle-feed-"):
        secret_name(name)
