"""A list of texts reaches Postgres as it is: `null`, quotes, braces and backslashes are texts like any other."""

from collections.abc import Callable

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clients.postgres import read, run_prepared, transaction, write
from shared.clients.postgres_engine import array_literal
from shared.storage.people import erasure
from tests.examples import examples

STAFF = {"Authorization": "Bearer an-admin-token-for-tests"}
TEXTS = [
    "null",
    "NULL",
    "Null",
    "nil",
    "",
    " ",
    '"',
    "\\",
    "\\\\",
    "{",
    "}",
    "{}",
    ",",
    "a,b",
    "a b",
    "\t\n",
    "ä🙂",
    "'",
]
Serve = Callable[[str], httpx.Client]


def test_a_list_of_texts_comes_back_as_it_was(module_env: dict[str, str]) -> None:
    assert read("SELECT cast(:texts AS text[])", texts=TEXTS)[0][0] == TEXTS
    assert run_prepared("SELECT cast(:texts AS text[])", texts=TEXTS)[0][0] == TEXTS
    mixed = read("SELECT cast(:texts AS text[]), cast(:ids AS bigint[])", texts=["null", None], ids=[1, None, 3])[0]
    assert tuple(mixed) == (["null", None], [1, None, 3])


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
@settings(max_examples=examples(200), deadline=None)
def test_any_texts_come_back_as_they_were(module_env: dict[str, str], texts: list[str]) -> None:
    assert read("SELECT cast(:texts AS text[])", texts=texts)[0][0] == texts


@pytest.mark.parametrize(
    ("values", "literal"),
    [
        ([], "{}"),
        (["null"], '{"null"}'),
        ([None], "{NULL}"),
        ([1, 2.5, True], "{1,2.5,true}"),
        ([[1], [2]], "{{1},{2}}"),
    ],
)
def test_array_literals(values: list[object], literal: str) -> None:
    assert array_literal(values) == literal


def test_an_erased_user_named_null_leaves_nothing_and_others_stay(env: dict[str, str]) -> None:
    for user_id in ("null", "nil"):
        write("INSERT INTO users (external_id) VALUES (:user_id)", user_id=user_id)
        write(
            "INSERT INTO rejected_events (message_id, position, event, reason) "
            "VALUES (:user_id, 0, jsonb_build_object('user_id', cast(:user_id AS text)), 'test')",
            user_id=user_id,
        )
    with transaction() as connection:
        assert erasure.erase(connection, "null", None) == ["null"]
    assert [row[0] for row in read("SELECT event ->> 'user_id' FROM rejected_events")] == ["nil"]
    assert [row[0] for row in read("SELECT external_id FROM users WHERE external_id IN ('null', 'nil')")] == ["nil"]


@pytest.mark.parametrize("text", ["null", "nil"])
def test_an_import_of_any_external_id_is_audited_as_an_update(env: dict[str, str], serve: Serve, text: str) -> None:
    products = serve("products")
    product = {"external_id": text, "name": "Mug", "price": 3, "quantity": 3, "tags": [text]}
    assert products.post("/products", json=product, headers=STAFF).status_code == 201
    headers = STAFF | {"Content-Type": "application/x-ndjson"}
    line = f'{{"external_id": "{text}", "name": "Mug", "price": 4, "quantity": 3}}'
    assert products.post("/products/import", content=line, headers=headers).json()["updated"] == 1
    audited = read("SELECT action, (before ->> 'price')::float FROM audit_log ORDER BY id")
    assert [tuple(row) for row in audited] == [("product.create", None), ("product.update", 3.0)]
    assert products.get("/products", params={"tags": text}).json()["total"] == 1
    assert products.get("/products", params={"tags": "other"}).json()["total"] == 0
