"""Query parameters of the catalog's routes."""

from typing import Any

import pytest
from pydantic import ValidationError

from functions.products.schemas.catalog import MAX_FILTER_TAGS, ProductQuery, SuggestionQuery


def test_the_default_query_is_the_first_twenty_products() -> None:
    query = ProductQuery()
    assert (query.page, query.page_size, query.sort, query.search, query.tags) == (1, 20, "relevance", "", [])


def test_tags_may_be_repeated_or_separated_by_commas() -> None:
    assert ProductQuery(tags=["red, wood", "red", ",glass,"]).tags == ["red", "wood", "glass"]


@pytest.mark.parametrize(
    "values",
    [
        {"page": 0},
        {"page": 2**63},
        {"page_size": 0},
        {"page_size": 101},
        {"sort": "name"},
        {"search": "x" * 201},
        {"search": "a\x01b"},
        {"search": "\ud800"},
        {"category": ""},
        {"category_id": 0},
        {"category_id": 2**63},
        {"min_price": -0.01},
        {"min_price": "nan"},
        {"max_price": "inf"},
        {"max_price": "1e400"},
        {"min_price": 2, "max_price": 1},
        {"in_stock": "maybe"},
        {"tags": ["x" * 201]},
        {"tags": [",".join(map(str, range(MAX_FILTER_TAGS + 1)))]},
        {"unknown": 1},
    ],
)
def test_invalid_parameters_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProductQuery.model_validate(values)


def test_equal_bounds_of_the_price_are_a_range() -> None:
    assert ProductQuery(min_price=2, max_price=2).min_price == 2


@pytest.mark.parametrize("values", [{}, {"q": ""}, {"q": "x" * 201}, {"q": "a", "k": 0}, {"q": "a", "k": 101}])
def test_a_suggestion_needs_a_text_and_a_number_from_1_to_100(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SuggestionQuery.model_validate(values)
