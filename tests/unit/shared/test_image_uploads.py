"""A permit to upload holds for what it was created for, and ends."""

import base64
import hmac
from collections.abc import Iterator

import pytest

from shared import image_uploads
from shared.clients import reset
from shared.errors import InvalidLink, LinkExpired, MissingSetting

NOW = 1_800_000_000.0
OLD, NEW = "old-" + "k" * 40, "new-" + "k" * 40


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("API_MAC_KEYS", f"a:{OLD}")
    reset()
    yield monkeypatch
    reset()


def test_a_token_says_what_it_permits_until_it_ends() -> None:
    token, upload = image_uploads.create(7, "image/png", 1234, NOW)
    assert (upload.product_id, upload.content_type, upload.size) == (7, "image/png", 1234)
    assert image_uploads.read(token, NOW) == upload
    assert image_uploads.read(token, NOW + 599.9) == upload
    with pytest.raises(LinkExpired):
        image_uploads.read(token, NOW + 600)


def test_no_part_of_a_token_can_be_changed() -> None:
    token, upload = image_uploads.create(7, "image/png", 1234, NOW)
    payload, _, mac = token.rpartition(".")
    for altered in (
        payload.replace("7.", "8.", 1),
        payload.replace("image/png", "image/jpeg"),
        payload.replace(".1234.", ".9999999."),
        payload.replace(upload.name, "../" + upload.name[3:]),
        payload.replace(upload.name, "0" * 32),
        payload.replace(str(upload.expires_at), str(upload.expires_at + 1)),
    ):
        assert altered != payload
        with pytest.raises(InvalidLink):
            image_uploads.read(f"{altered}.{mac}", NOW)
    for other in ("", mac, payload, f"{payload}.", f"{payload}.{mac[:-1]}", f"{token}\n", token.upper(), f"{token}x"):
        with pytest.raises(InvalidLink):
            image_uploads.read(other, NOW)


def test_no_other_signature_by_the_same_key_is_that_of_an_upload() -> None:
    token, _upload = image_uploads.create(7, "image/png", 1234, NOW)
    payload, _, mac = token.rpartition(".")
    # API keys and hashes of clients are signed by this key too, each under a name of its own
    bare = base64.urlsafe_b64encode(hmac.digest(OLD.encode(), payload.encode(), "sha256")).rstrip(b"=").decode()
    assert len(bare) == len(mac)
    with pytest.raises(InvalidLink):
        image_uploads.read(f"{payload}.{bare}", NOW)


def test_two_uploads_have_two_names() -> None:
    assert image_uploads.create(7, "image/png", 1, NOW)[1].name != image_uploads.create(7, "image/png", 1, NOW)[1].name


def test_a_token_outlives_the_change_of_the_key_and_ends_with_its_removal(keys: pytest.MonkeyPatch) -> None:
    token, upload = image_uploads.create(7, "image/png", 1, NOW)
    keys.setenv("API_MAC_KEYS", f"b:{NEW},a:{OLD}")
    reset()
    assert image_uploads.read(token, NOW) == upload
    keys.setenv("API_MAC_KEYS", f"b:{NEW}")
    reset()
    with pytest.raises(InvalidLink):
        image_uploads.read(token, NOW)


def test_without_a_key_nothing_is_signed(keys: pytest.MonkeyPatch) -> None:
    keys.setenv("API_MAC_KEYS", "")
    reset()
    with pytest.raises(MissingSetting):
        image_uploads.create(7, "image/png", 1, NOW)
