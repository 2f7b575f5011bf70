"""Categories as requests name them."""

import pytest

from shared.domain.category_references import ANY_CATEGORY, CategoryReference, spaced


def test_the_problem_names_the_category_as_the_request_does() -> None:
    assert "There is no category 7;" in str(CategoryReference(category_id=7).not_found())
    assert "There is no category 'Home > Candles';" in str(CategoryReference(category="Home > Candles").not_found())
    # an id that no category has is an id all the same
    assert "There is no category 0;" in str(CategoryReference(category_id=0).not_found())
    assert ANY_CATEGORY == (None, None)


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("Candles", "Candles"),
        ("Home>Candles", "Home > Candles"),
        (" Home >  Candles>Small ", "Home > Candles > Small"),
        ("A>B>C>D", "A > B > C > D"),
    ],
)
def test_a_path_has_spaces_around_every_separator(path: str, stored: str) -> None:
    assert spaced(path) == stored
    assert spaced(stored) == stored
