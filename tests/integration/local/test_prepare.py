"""The first load of an empty shop: complete or without a trace, with the ids that the documents name."""

from pathlib import Path

import pytest

from local import prepare
from local.errors import Refused
from shared.clients import postgres


def test_a_refused_load_leaves_no_trace_that_a_later_start_acts_on(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="foo"):
        prepare.load(tmp_path, "synthetic", {"foo": 1})
    assert not prepare.first_jobs_are_due(tmp_path)
    assert prepare.is_empty()


def test_products_stored_after_a_refused_load_make_the_shop_not_empty(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="foo"):
        prepare.load(tmp_path, "synthetic", {"foo": 1})
    postgres.write("INSERT INTO products (name, price, quantity) VALUES ('Lantern', 5, 1)")
    assert not prepare.is_empty()
    assert not prepare.first_jobs_are_due(tmp_path)


def test_a_load_after_an_interrupted_one_gives_the_ids_of_a_first_load(env: dict[str, str], tmp_path: Path) -> None:
    for sequence in ("products", "categories"):
        postgres.read(f"SELECT setval(pg_get_serial_sequence('{sequence}', 'id'), 3926)")
    prepare.load(tmp_path, "synthetic", {"products": 20, "categories": 2, "users": 20, "events": 200})
    assert postgres.read("SELECT min(id), max(id), count(*) FROM products")[0] == (1, 20, 20)
    assert postgres.read("SELECT min(id), max(id) FROM categories")[0] == (1, 2)
    assert prepare.first_jobs_are_due(tmp_path)


def test_an_empty_start_on_a_filled_shop_says_that_the_shop_is_kept(
    env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.load_first(tmp_path, "none")
    assert capsys.readouterr().out == ""
    postgres.write("INSERT INTO products (name, price, quantity) VALUES ('Lantern', 5, 1)")
    for data in ("none", "online_retail"):
        prepare.load_first(tmp_path, data)
        assert "Data: kept from earlier starts." in capsys.readouterr().out
    assert [name for (name,) in postgres.read("SELECT name FROM products")] == ["Lantern"]
