"""Credentials in what is logged."""

import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from shared.logs import JsonFormatter
from shared.masking import mask_credentials

TOKEN = "YS1sb2dpbi10b2tlbg=="
JWT = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhIn0", "c2lnbmF0dXJl"))
KEY_ID, KEY_SECRET = "sk_0123456789ab_", "0123456789abcdef0123456789abcdef_9f8e"
MASKED = [
    # headers as libraries print them
    (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer ***"),
    (f"Authorization:\tbearer\t{TOKEN}", "Authorization:\tbearer\t***"),
    (f"{{'Authorization': 'Bearer {TOKEN}', 'Accept': '*/*'}}", "{'Authorization': '***', 'Accept': '*/*'}"),
    (f"(b'authorization', b'Basic {TOKEN}'), (b'a', b'b')", "(b'authorization', b'***'), (b'a', b'b')"),
    (f'{{"X-API-Key": "{TOKEN}", "id": 7}}', '{"X-API-Key": "***", "id": 7}'),
    (rf"{{\"authorization\": \"{TOKEN}\", \"id\": 7}}", r"{\"authorization\": \"***\", \"id\": 7}"),
    (rf"{{\\\"authorization\\\": \\\"{TOKEN}\\\"}}", r"{\\\"authorization\\\": \\\"***\\\"}"),
    ("proxy-authorization=Digest username=a, response=c2VjcmV0\nhost: a", "proxy-authorization=Digest ***\nhost: a"),
    ("Authorization: ApiKey c2VjcmV0\nhost: a", "Authorization: ***\nhost: a"),
    ("x-serverless-authorization: c2VjcmV0\nhost: a", "x-serverless-authorization: ***\nhost: a"),
    ("'Cookie': 'session=c2VjcmV0; a=b', 'id': 7", "'Cookie': '***', 'id': 7"),
    ('"password": "a plum in the rain", "id": 7', '"password": "***", "id": 7'),
    # credentials alone
    (f"refused Bearer {TOKEN}.", "refused Bearer ***."),
    (f"token {JWT} is expired", "token *** is expired"),
    ("ya29.a0AfH6SMBx-y_z of Google", "*** of Google"),
    (f"key {KEY_ID}{KEY_SECRET} is unknown", f"key {KEY_ID}*** is unknown"),
    ("postgresql://aisle:s3cret@10.0.0.3/aisle", "postgresql://aisle:***@10.0.0.3/aisle"),
    ("redis://:s3c@ret@10.0.0.4:6379/0", "redis://:***@10.0.0.4:6379/0"),
    ("/mp/collect?api_secret=c2VjcmV0&id=7", "/mp/collect?api_secret=***&id=7"),
    ("/o/a.png?X-Goog-Signature=c2VjcmV0&id=7", "/o/a.png?X-Goog-Signature=***&id=7"),
    ("/products?key=c2VjcmV0 HTTP", "/products?key=*** HTTP"),
    ("refresh_token=c2VjcmV0&grant_type=a", "refresh_token=***&grant_type=a"),
    ("HTTP_X_API_KEY: c2VjcmV0\nhost: a", "HTTP_X_API_KEY: ***\nhost: a"),
    ("host=a password=c2VjcmV0 user=b", "host=a password=*** user=b"),
    ("AIza" + "b" * 35 + " of Google", "*** of Google"),
    ("1//0" + "b" * 35 + " of Google", "*** of Google"),
    ("-----BEGIN RSA PRIVATE " + "KEY-----\nMIIB\nc2Vj\n-----END", "-----BEGIN RSA PRIVATE " + "KEY-----***-----END"),
    # two in one text
    (f"Bearer {TOKEN} then Bearer {TOKEN} end", "Bearer *** then Bearer *** end"),
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_a_credential_is_masked_and_nothing_beside_it(text: str, masked: str) -> None:
    # "refused Bearer …." ends with a sentence's full stop, which may belong to a credential
    assert mask_credentials(text).removesuffix(".") == masked.removesuffix(".")


@pytest.mark.parametrize(
    "text",
    [
        "the header Authorization, which is missing",
        "authorization: false for all",
        '{"authorization": null, "cookie": 7}',
        "authorization=none",
        "Bearer tokens",
        "Basic authentication failed",
        "a Basic plan",
        "https://shop.example:8080/products?category=a@b",
        "12:30:05 mailto:a@b",
        "pk_0123456789ab_ is an id",
        "eyJub3RhdG9rZW4",
        "x-api-keys: 3",
        "key=product:3",
        "/products?keys=a&token_count=7",
        "reset-password: done",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert mask_credentials(text) == text


def formatted(message: str, **fields: Any) -> dict[str, Any]:
    record = logging.LogRecord("a", logging.ERROR, "", 0, message, (), None)
    vars(record).update(fields)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


@pytest.mark.parametrize("before", ["", "\n", "\t", "a\n\n"])
@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_a_credential_is_masked_anywhere_in_a_message(text: str, masked: str, before: str) -> None:
    assert formatted(before + text)["message"].removesuffix(".") == before + masked.removesuffix(".")


def test_a_line_has_no_credential_in_its_exception() -> None:
    try:
        raise ValueError(f"headers=<CIMultiDictProxy('Authorization': 'Bearer {TOKEN}', 'Accept': '*/*')>")
    except ValueError as error:
        record = logging.LogRecord(
            "a", logging.ERROR, "", 0, "failed with %s", (error,), (ValueError, error, error.__traceback__)
        )
    line = JsonFormatter().format(record)
    assert TOKEN not in line
    fields = json.loads(line)
    assert fields["message"] == "failed with headers=<CIMultiDictProxy('Authorization': '***', 'Accept': '*/*')>"
    assert "'Authorization': '***', 'Accept': '*/*'" in fields["exception"]


@dataclass
class Sent:
    """What a library might log as it is."""

    url: str
    x: int


class Opaque:
    """What JSON does not know."""

    def __str__(self) -> str:
        return f"Authorization: Bearer {TOKEN}"


def test_a_line_has_no_credential_in_its_fields_and_stays_json() -> None:
    fields = formatted(
        "sent",
        url=f"redis://:{TOKEN}@10.0.0.4/0",
        headers={"Authorization": TOKEN, "x-api-key": None, "Accept": "*/*", 7: f"Bearer {TOKEN}"},
        authorization=None,
        password=["a"],
        steps=(f"Bearer {TOKEN}", {"cookie": b"a"}, 7),
        sent=Sent(f"https://a:{TOKEN}@b/", 7),
        opaque=Opaque(),
        scope=[[b"x-api-key", b"c2VjcmV0"], ("Authorization", TOKEN), ["name", "Authorization"], ["x-api-key"]],
        version=7,
    )
    assert fields["url"] == "redis://:***@10.0.0.4/0"
    assert fields["headers"] == {"Authorization": "***", "x-api-key": None, "Accept": "*/*", "7": "Bearer ***"}
    assert (fields["authorization"], fields["password"], fields["version"]) == (None, ["a"], 7)
    assert fields["steps"] == ["Bearer ***", {"cookie": "***"}, 7]
    assert fields["sent"] == {"url": "https://a:***@b/", "x": 7}
    assert fields["opaque"] == "Authorization: Bearer ***"
    assert fields["scope"] == [
        ["b'x-api-key'", "***"],
        ["Authorization", "***"],
        ["name", "Authorization"],
        ["x-api-key"],
    ]


def test_a_value_that_is_not_encodable_is_masked_as_well() -> None:
    fields = formatted(f"\ud800 Bearer {TOKEN}", token="\ud800", opaque=Opaque())
    assert fields["message"].endswith("Bearer ***")
    assert TOKEN not in str(fields)


def test_what_is_nested_too_deeply_is_masked_as_a_whole() -> None:
    nested: Any = TOKEN
    for _ in range(2_000):
        nested = [nested]
    fields = formatted("deep", near=[[TOKEN]], nested=nested)
    assert fields["near"] == [[TOKEN]]
    assert TOKEN not in str(fields["nested"])
