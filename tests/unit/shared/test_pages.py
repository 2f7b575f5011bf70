"""Pages of lists: where a page begins, and how many there are."""

import pytest

from shared.http import PageQuery


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (50, 1), (51, 2), (100, 2)])
def test_the_last_page_may_be_partly_filled(total: int, pages: int) -> None:
    assert PageQuery(page=1, page_size=50).members(total) == {
        "total": total,
        "page": 1,
        "page_size": 50,
        "total_pages": pages,
    }


def test_a_page_begins_where_the_one_before_it_ended() -> None:
    assert PageQuery(page=1, page_size=20).offset == 0
    assert PageQuery(page=3, page_size=20).offset == 40
