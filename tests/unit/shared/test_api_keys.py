"""API keys: their form, their MAC, the rotation of its keys, and how they leave a URL."""

import pytest

from shared import api_keys, clients
from shared.api_keys import ApiKey
from shared.errors import MissingSetting

OLD, NEW = "old:" + "o" * 32, "new:" + "n" * 32


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_MAC_KEYS", NEW)
    clients.reset()


@pytest.mark.parametrize(("kind", "prefix"), [("publishable", "pk"), ("secret", "sk")])
def test_a_key_that_was_made_here_is_known_by_itself(kind: api_keys.Kind, prefix: str) -> None:
    key_id, text = api_keys.create(kind)
    assert text.startswith(f"{prefix}_{key_id}_")
    assert api_keys.verify(text) == ApiKey(key_id, kind)
    assert api_keys.create(kind)[1] != text


def test_every_altered_character_makes_a_key_unknown() -> None:
    _, text = api_keys.create("publishable")
    for position, character in enumerate(text):
        other = "0" if character != "0" else "1"
        assert api_keys.verify(text[:position] + other + text[position + 1 :]) is None
    # a publishable key must not become a secret one
    assert api_keys.verify("sk" + text[2:]) is None
    for wrong in ("", text[:-1], text + "0", text.upper(), f" {text}", text + "\n"):
        assert api_keys.verify(wrong) is None


def test_the_first_mac_key_makes_and_all_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_MAC_KEYS", OLD)
    clients.reset()
    key_id, text = api_keys.create("secret")
    monkeypatch.setenv("API_MAC_KEYS", f"{NEW},{OLD}")
    clients.reset()
    assert api_keys.verify(text) == ApiKey(key_id, "secret")
    _, later = api_keys.create("secret")
    monkeypatch.setenv("API_MAC_KEYS", NEW)
    clients.reset()
    assert api_keys.verify(text) is None
    assert api_keys.verify(later) is not None


def test_without_mac_keys_no_key_is_made_or_known(monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = api_keys.create("secret")
    monkeypatch.delenv("API_MAC_KEYS")
    clients.reset()
    assert api_keys.verify(text) is None
    with pytest.raises(MissingSetting, match="API_MAC_KEYS"):
        api_keys.create("secret")


def test_a_mac_key_has_at_least_32_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_MAC_KEYS", "short:" + "s" * 31)
    clients.reset()
    with pytest.raises(MissingSetting, match="API_MAC_KEYS") as refusal:
        api_keys.create("secret")
    assert "s" * 31 not in str(refusal.value)


@pytest.mark.parametrize(
    ("query", "rest", "keys"),
    [
        (b"key=pk_1", b"", ["pk_1"]),
        (b"k=5&key=pk_1&user_id=key%3D", b"k=5&user_id=key%3D", ["pk_1"]),
        (b"key=a&key=b", b"", ["a", "b"]),
        (b"monkey=1&keys=2", b"monkey=1&keys=2", []),
    ],
)
def test_only_the_parameter_key_leaves_the_query(query: bytes, rest: bytes, keys: list[str]) -> None:
    assert api_keys.take_from_query(query) == (rest, keys)
