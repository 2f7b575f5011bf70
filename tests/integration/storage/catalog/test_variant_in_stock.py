"""The variant that an answer shows for a sold-out product, where pieces are counted and where they are not."""

from typing import Any

import pytest

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes

FUNCTIONS = ("variant_in_stock(p)", "variant_in_stock(p, NULL)")


def write(external_id: str, **more: Any) -> None:
    row = {"external_id": external_id, "name": "Shirt", "price": 1, "item_group_id": "shirt", **more}
    with postgres.transaction() as connection:
        assert bulk_writes.upsert(connection, [ProductWrite.model_validate(row)]).refused == []


def shown(function: str, external_id: str) -> tuple[Any, ...]:
    rows = postgres.read(
        f"""SELECT (v).external_id, (v).stock_counted, (v).quantity,
                   (product_json(v, c, s) ->> 'stock_counted')::boolean
            FROM (SELECT {function} AS v FROM products p WHERE external_id = :id) AS x
            LEFT JOIN categories c ON c.id = (v).category_id LEFT JOIN product_stats s ON s.product_id = (v).id""",
        id=external_id,
    )
    return tuple(rows[0])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_variant_whose_pieces_are_not_counted_stands_in(env: object, function: str) -> None:
    write("sold-out", quantity=0)
    write("gone", quantity=0, stock_counted=False)
    write("other-group", quantity=5, item_group_id="cup")
    assert shown(function, "sold-out") == ("sold-out", True, 0, True)
    write("sells", quantity=1, stock_counted=False)
    assert shown(function, "sold-out") == shown(function, "gone") == ("sells", False, 1, False)
    assert shown(function, "sells") == ("sells", False, 1, False)
    assert shown(function, "other-group") == ("other-group", True, 5, True)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_product_whose_pieces_are_not_counted_is_shown_while_it_is_in_stock(env: object, function: str) -> None:
    write("sells", quantity=1, stock_counted=False)
    write("counted", quantity=9)
    assert shown(function, "sells") == ("sells", False, 1, False)
    write("sells", quantity=0, stock_counted=False)
    assert shown(function, "sells") == ("counted", True, 9, True)
