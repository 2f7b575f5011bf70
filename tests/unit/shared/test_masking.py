"""Credentials in texts for logs."""

import json
import logging

import pytest

from shared.logs import JsonFormatter
from shared.masking import mask_credentials

TOKEN = "YS1sb2dpbi10b2tlbg=="
JWT = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhIn0", "c2lnbmF0dXJl"))
KEY_ID, KEY_SECRET = "sk_0123456789ab_", "0123456789abcdef0123456789abcdef_9f8e"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        # headers as libraries print them
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer ***"),
        (f"{{'Authorization': 'Bearer {TOKEN}', 'Accept': '*/*'}}", "{'Authorization': 'Bearer ***', 'Accept': '*/*'}"),
        (f"(b'authorization', b'Basic {TOKEN}'), (b'a', b'b')", "(b'authorization', b'Basic ***'), (b'a', b'b')"),
        (f'{{"X-API-Key": "{TOKEN}", "id": 7}}', '{"X-API-Key": "***", "id": 7}'),
        (f"proxy-authorization=digest {TOKEN}, host=a", "proxy-authorization=digest ***, host=a"),
        (f"x-serverless-authorization: {TOKEN}\nhost: a", "x-serverless-authorization: ***\nhost: a"),
        # credentials alone
        (f"refused Bearer {TOKEN}.", "refused Bearer ***"),
        (f"token {JWT} is expired", "token *** is expired"),
        ("ya29.a0AfH6SMBx-y_z of Google", "*** of Google"),
        (f"key {KEY_ID}{KEY_SECRET} is unknown", f"key {KEY_ID}*** is unknown"),
        ("postgresql://aisle:s3cret@10.0.0.3/aisle", "postgresql://aisle:***@10.0.0.3/aisle"),
        ("redis://:s3cret@10.0.0.4:6379/0", "redis://:***@10.0.0.4:6379/0"),
        # two in one text
        (f"Bearer {TOKEN} then Bearer {TOKEN}", "Bearer *** then Bearer ***"),
    ],
)
def test_a_credential_is_masked_and_nothing_beside_it(text: str, masked: str) -> None:
    assert mask_credentials(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "the header Authorization, which is missing",
        "Bearer tokens",
        "a Basic plan",
        "https://shop.example:8080/products?category=a@b",
        "12:30:05 mailto:a@b",
        "pk_0123456789ab_ is an id",
        "eyJub3RhdG9rZW4",
        "x-api-keys: 3",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert mask_credentials(text) == text


def test_a_line_has_no_credential_in_its_message_its_exception_or_its_fields() -> None:
    try:
        raise ValueError(f"headers=<CIMultiDictProxy('Authorization': 'Bearer {TOKEN}', 'Accept': '*/*')>")
    except ValueError as error:
        record = logging.LogRecord(
            "a", logging.ERROR, "", 0, "failed with %s", (error,), (ValueError, error, error.__traceback__)
        )
    record.url = f"redis://:{TOKEN}@10.0.0.4/0"
    record.headers = {"Authorization": f"Bearer {TOKEN}"}
    record.version = 7
    line = JsonFormatter().format(record)
    assert TOKEN not in line
    fields = json.loads(line)
    assert fields["message"] == "failed with headers=<CIMultiDictProxy('Authorization': 'Bearer ***', 'Accept': '*/*')>"
    assert "'Authorization': 'Bearer ***', 'Accept': '*/*'" in fields["exception"]
    assert fields["url"] == "redis://:***@10.0.0.4/0"
    assert fields["headers"] == {"Authorization": "Bearer ***"}
    assert fields["version"] == 7


def test_a_quote_that_json_escapes_ends_a_credential() -> None:
    record = logging.LogRecord("a", logging.ERROR, "", 0, f'{{"authorization": "{TOKEN}", "id": "7"}}', (), None)
    fields = json.loads(JsonFormatter().format(record))
    assert fields["message"] == '{"authorization": "***", "id": "7"}'
