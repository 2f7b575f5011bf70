"""Products as requests name them."""

import pytest

from shared.domain.product_references import ProductReference, arrays, contradiction


def test_a_reference_has_one_of_the_ids_or_both() -> None:
    assert ProductReference.required(7, None) == (7, None)
    assert ProductReference.required(None, "SKU7") == (None, "SKU7")
    assert ProductReference.required(7, "SKU7") == (7, "SKU7")
    with pytest.raises(ValueError, match="give product_id or external_id"):
        ProductReference.required(None, None)


def test_an_id_that_is_empty_is_an_id_that_no_product_has() -> None:
    # the fields of requests say which ids are valid, not the reference
    assert ProductReference.required(0, None) == (0, None)
    assert ProductReference.required(None, "") == (None, "")


def test_messages_name_the_product_by_our_id_if_the_request_has_it() -> None:
    assert str(ProductReference(7, None)) == str(ProductReference(7, "SKU7")) == "7"
    assert str(ProductReference(None, "SKU7")) == "external_id 'SKU7'"


def test_arrays_keep_the_places_of_all_references() -> None:
    references = [ProductReference(7, None), ProductReference(None, "SKU8"), ProductReference(9, "SKU9")]
    assert arrays(iter(references)) == ([7, 0, 9], ["", "SKU8", "SKU9"])
    assert arrays([]) == ([], [])


def test_two_ids_of_two_products_are_a_problem_of_the_second() -> None:
    problem = contradiction(7, "SKU8")
    assert "'SKU8' is not the external_id of product 7" in str(problem)
