"""What a change of products costs does not grow with the catalog, and what it locks is free again soon."""

import pytest

from shared.clients import postgres
from shared.clients.postgres import Connection, execute, transaction
from shared.domain.catalog import ProductWrite
from shared.errors import Unavailable
from shared.messages import catalog_changes
from shared.storage.catalog import bulk_writes, search_index
from shared.storage.recommending import content
from shared.storage.schema.advisory_locks import SEARCH_VOCABULARY
from tests.integration.conftest import Serve, settings_of
from tests.integration.deliveries import push

CATALOG = 4000
# PostgreSQL plans a statement for its parameters five times before it may keep one plan for all of them, which it does
# if it expects fewer products of it than these.
CALLS = 8
FEW = 60


def rows(prefix: str, count: int, name: str = "Lantern") -> list[ProductWrite]:
    return [
        ProductWrite.model_validate({"external_id": f"{prefix}{n}", "name": f"{name} {prefix}", "price": 1})
        for n in range(count)
    ]


@pytest.fixture
def catalog(env: object) -> list[int]:
    created = bulk_writes.import_products(rows("old", CATALOG, "Teapot")).created
    content.refresh_pending()
    postgres.write("ANALYZE products, product_words, content_words")
    return created


def rows_read(connection: Connection, *tables: str) -> int:
    """Return how many rows this session has read lately by reading whole tables."""
    return int(
        execute(
            connection,
            "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname = ANY (cast(:tables AS text[]))",
            {"tables": list(tables)},
        )[0][0]
    )


@pytest.mark.usefixtures("catalog")
def test_an_import_does_not_read_the_catalog_for_each_of_its_chunks() -> None:
    with transaction() as connection:
        before = rows_read(connection, "products", "product_words")
        for call in range(CALLS):
            assert len(bulk_writes.upsert(connection, rows(f"new{call}-", FEW)).created) == FEW
        assert rows_read(connection, "products", "product_words") == before


def test_refreshing_a_few_products_does_not_read_the_catalog(catalog: list[int]) -> None:
    with transaction() as connection:
        before = rows_read(connection, "products", "product_words")
        for call in range(CALLS):
            few = catalog[call * FEW : (call + 1) * FEW]
            search_index.refresh_vocabulary(connection, few)
            content.refresh(connection, few)
        assert rows_read(connection, "products", "product_words") == before
        # all of them, by the same functions
        search_index.refresh_vocabulary(connection, None)
        assert rows_read(connection, "products", "product_words") >= before + 2 * CATALOG


def pending_pages() -> int:
    """Merge the list of the search index and return how many pages it had."""
    return int(postgres.read("SELECT merge_pending_documents()")[0][0])


def found(word: str) -> int:
    return int(
        postgres.read("SELECT count(*) FROM products WHERE document @@ to_tsquery('simple', :word)", word=word)[0][0]
    )


def test_documents_are_found_before_and_after_they_are_merged(env: object) -> None:
    with transaction() as connection:
        bulk_writes.upsert(connection, rows("a", 3))
    assert found("lantern") == 3
    assert pending_pages() > 0
    assert (pending_pages(), found("lantern"), found("teapot")) == (0, 3, 0)


def test_an_import_and_the_message_of_a_change_merge_documents(env: object, serve: Serve) -> None:
    created = bulk_writes.import_products(rows("a", 3)).created
    assert pending_pages() == 0
    postgres.write("UPDATE products SET name = 'Kettle' WHERE id = :id", id=created[0])
    assert push(serve("refresh_catalog"), *catalog_changes(created[:1], "updated")).status_code == 200
    assert pending_pages() == 0
    assert (found("kettle"), found("lantern")) == (1, 2)


def test_an_import_whose_documents_cannot_be_merged_is_stored(env: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_sql: str) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(bulk_writes, "read", fail)
    assert len(bulk_writes.import_products(rows("a", 3)).created) == 3
    assert found("lantern") == 3


def vocabulary() -> dict[str, int]:
    return {row[0]: row[1] for row in postgres.read("SELECT word, products FROM search_words")}


@pytest.fixture
def _two_rows_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_writes, "ROWS_PER_STATEMENT", 2)


@pytest.mark.usefixtures("env", "_two_rows_a_statement")
@pytest.mark.parametrize(("count", "is_free"), [(2, False), (3, True)])
def test_an_import_of_several_statements_leaves_the_vocabulary_to_others(
    serve: Serve, count: int, is_free: bool
) -> None:
    with transaction() as connection:
        created = bulk_writes.upsert(connection, rows("a", count)).created
        with transaction() as other:
            free = execute(other, "SELECT pg_try_advisory_xact_lock(:lock)", {"lock": SEARCH_VOCABULARY})[0][0]
    assert free is is_free
    # the words of one statement are there at once, those of several with the message
    assert vocabulary() == ({} if is_free else {"lantern": count})
    assert found("lantern") == count
    assert push(serve("refresh_catalog"), *catalog_changes(created, "created")).status_code == 200
    assert vocabulary() == {"lantern": count}
    assert content.pending() == 0


@pytest.mark.usefixtures("_two_rows_a_statement")
def test_every_row_of_an_import_of_several_statements_is_written(env: object) -> None:
    assert len(bulk_writes.import_products(rows("a", 5)).created) == 5
    result = bulk_writes.import_products(rows("a", 7, "Teapot"))
    assert (len(result.created), len(result.updated)) == (2, 5)
    assert (found("teapot"), found("lantern")) == (7, 0)


def test_rewriting_documents_locks_few_products_at_a_time(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "BATCH", 2)
    created = bulk_writes.import_products(rows("a", 4)).created
    postgres.write("ALTER TABLE products DISABLE TRIGGER products_write_document")
    postgres.write("UPDATE products SET document = 'old'")
    postgres.write("ALTER TABLE products ENABLE TRIGGER products_write_document")
    with settings_of(env | {"STATEMENT_TIMEOUT_S": "0.3"}), transaction() as connection:
        execute(connection, "SELECT FROM products WHERE id = :id FOR UPDATE", {"id": created[3]})
        with pytest.raises(Unavailable):
            search_index.refresh_batches(search_index.refresh_documents, created)
    assert found("lantern") == 2
    assert search_index.refresh_batches(search_index.refresh_documents, created) == 2
    assert found("lantern") == 4
