"""The migration to embeddings by changes: the first night computes what the release before left out of date."""

from collections.abc import Iterator

import pytest

from shared.clients import postgres
from tests.integration.conftest import Running
from tests.integration.storage.previous_release import migrated_since
from tests.integration.storage.recommending.test_content_renewal import assert_as_computed_in_full, renew

PRODUCTS = """INSERT INTO products (name, price, brand, description)
SELECT 'Product ' || n, n, 'Brand ' || n % 3, 'of oak and steel ' || n FROM generate_series(1, 30) n"""


def leave_a_night_half_done() -> None:
    """Embed all products, change some, count the words, and end before the embeddings."""
    postgres.write(PRODUCTS)
    postgres.write("SELECT refresh_content(NULL)")
    postgres.write("UPDATE products SET name = 'Lantern ' || id WHERE id <= 20")
    postgres.write("UPDATE products SET is_active = false WHERE name = 'Product 30'")
    postgres.write("SELECT count_content_words()")


@pytest.fixture
def migrated(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database in which a night of the previous release was ended, migrated since."""
    with migrated_since(
        "0038_content_by_changes", leave_a_night_half_done, "before_content_by_changes", services, monkeypatch
    ):
        yield


def test_the_first_night_computes_what_the_previous_release_left(migrated: None) -> None:
    first = renew()
    assert (first.is_recounted, first.left) == (True, 0)
    assert len(assert_as_computed_in_full()) == 29
    # the next has nothing to do
    assert renew().written == 0
