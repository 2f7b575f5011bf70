"""A night computes the embeddings of what changed, ends where it must, and leaves what a full computation would."""

import itertools
import json

import pytest

from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.storage.recommending import content, content_renewal
from shared.storage.recommending.content_renewal import Renewal
from tests.integration.shop import add_products

Vectors = dict[str, list[float]]


class Killed(Exception):
    """Ends a run at once, as the end of its process does."""


def always() -> bool:
    return True


def renew(steps: int | None = None) -> Renewal:
    """Run the night's renewal; with ``steps``, for so many steps."""
    left = itertools.count() if steps is None else iter(range(steps))
    return content_renewal.renew(lambda: next(left, None) is not None)


def vectors(statement: str) -> Vectors:
    return {str(row[0]): json.loads(row[1]) for row in postgres.read(statement) if row[1] is not None}


def embeddings() -> Vectors:
    return vectors("SELECT product_id, embedding::text FROM product_content")


def weights() -> Vectors:
    return vectors("SELECT word || ' ' || products, weighted::text FROM content_words")


def versions() -> dict[int, str]:
    """Return which version of its row each product's embedding has: another one after every write."""
    return {row[0]: row[1] for row in postgres.read("SELECT product_id, xmin::text || ctid::text FROM product_content")}


def assert_equal(found: Vectors, expected: Vectors) -> None:
    assert found.keys() == expected.keys()
    for name, vector in expected.items():
        # sums of floats of four bytes, in another order
        assert found[name] == pytest.approx(vector, abs=1e-5), name


def assert_as_computed_in_full() -> Vectors:
    """Compare embeddings and weights with those that one statement computes from the products; return the former."""
    found, weighed = embeddings(), weights()
    postgres.write("DELETE FROM product_content")
    postgres.write("DELETE FROM content_words")
    postgres.write("SELECT refresh_content(NULL)")
    assert_equal(weighed, weights())
    assert_equal(found, embeddings())
    return found


def compute_by_same_weights() -> Vectors:
    """Compute all embeddings by the weights that are stored."""
    postgres.write("DELETE FROM product_content")
    postgres.write("SELECT refresh_content(ARRAY(SELECT id FROM products))")
    return embeddings()


def change_catalog() -> None:
    """Write products as SQL by hand does, without a message, in every way there is."""
    for statement in (
        "INSERT INTO products (name, price, category_id) VALUES ('Zinc bucket', 1, (SELECT min(id) FROM categories))",
        "INSERT INTO products (name, price, is_active) VALUES ('Zinc tub', 1, false), ('Oak chair', 1, true)",
        "UPDATE products SET description = 'A galvanised pail of zinc' WHERE id = 2",
        "UPDATE products SET name = 'Product 3 of oak', is_active = false WHERE id = 3",
        "UPDATE products SET is_active = false WHERE id IN (4, 5)",
        "UPDATE products SET name = 'Chair' WHERE id = 5",
        "UPDATE products SET is_active = true WHERE id = 5",
        "DELETE FROM products WHERE id IN (6, 7)",
        "UPDATE products SET price = 99, quantity = 0 WHERE id = 8",
    ):
        postgres.write(statement)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "BATCH", 2)
    for name, size in (("PRODUCTS_AT_ONCE", 3), ("WORDS_AT_ONCE", 4), ("LOOKED_AT_AT_ONCE", 5)):
        monkeypatch.setattr(content_renewal, name, size)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every catalog count as large."""
    monkeypatch.setattr(content_renewal, "SMALL_CATALOG", 0)


def test_a_night_that_counts_the_words_leaves_what_a_full_computation_does(env: object, small_steps: None) -> None:
    add_products(12)
    renew()
    change_catalog()
    assert renew().is_recounted
    found = assert_as_computed_in_full()
    assert {"4", "6", "7"}.isdisjoint(found)
    assert "5" in found


def test_a_night_without_a_count_leaves_what_a_full_computation_by_the_same_weights_does(
    env: object, small_steps: None, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_renewal, "CHANGED_SHARE", 10.0)
    add_products(12)
    renew()
    before, untouched = weights(), {product: versions()[product] for product in (1, 8, 9)}
    change_catalog()
    renewed = renew()
    assert not renewed.is_recounted
    assert renewed.left == 0
    # new, changed and shown again: 5 products; the words of the new ones are new
    assert before.items() <= weights().items()
    # nothing else was written, not even what changed its price
    assert {product: versions()[product] for product in untouched} == untouched
    found = embeddings()
    assert_equal(found, compute_by_same_weights())


def test_runs_that_are_killed_after_every_step_leave_what_one_run_does(env: object, small_steps: None) -> None:
    add_products(12)
    renew()
    change_catalog()
    runs, left, recounted = 0, [], False
    while True:
        calls = itertools.count()

        def kill_after_a_step(calls: "itertools.count[int]" = calls) -> bool:
            # it is asked before a count begins, and before each step
            if next(calls) == 2:
                raise Killed
            return True

        runs += 1
        assert runs < 200
        try:
            content_renewal.renew(kill_after_a_step)
            break
        except Killed:
            left.append(renew(0).left)
            recounted |= bool(postgres.read("SELECT 1 FROM content_recounts"))
    assert runs > 15
    assert recounted
    assert left[0] > 0
    assert left[-1] == renew(0).left == 0
    assert_as_computed_in_full()


def test_what_changes_between_the_steps_of_a_count_is_in_the_end_right(env: object, small_steps: None) -> None:
    add_products(12)
    renew()
    postgres.write("UPDATE products SET name = name || ' of brass'")
    steps = 0
    for change in (
        # while the products are counted, while the words are weighed, and while the embeddings are computed
        "UPDATE products SET name = 'Brass lantern' WHERE id = 1",
        "INSERT INTO products (name, price) VALUES ('Brass candle', 1)",
        "UPDATE products SET is_active = false WHERE id = 2",
        "UPDATE products SET name = 'Lantern' WHERE id = 12",
    ):
        steps += renew(9).left > 0
        postgres.write(change)
    assert steps >= 3
    renew()
    found = embeddings()
    assert_equal(found, compute_by_same_weights())
    # the next night counts what changed meanwhile
    postgres.write("UPDATE products SET name = 'Lamp' WHERE id = 12")
    assert renew().is_recounted
    assert_as_computed_in_full()


def test_words_are_counted_once_a_twentieth_of_a_large_catalog_has_changed(env: object, large: None) -> None:
    add_products(40)
    renew()
    before = weights()
    assert renew() == (0, False, 0)
    postgres.write("UPDATE products SET name = 'Brass lantern' WHERE id = 1")
    assert renew() == (1, False, 0)
    # the words that were new
    assert weights().keys() - before.keys() == {"brass 1", "lantern 1"}
    assert before.items() <= weights().items()
    postgres.write("UPDATE products SET name = 'Brass lantern' WHERE id = 2")
    renewed = renew()
    assert (renewed.is_recounted, renewed.left) == (True, 0)
    # each once
    assert renewed.written == 40
    assert {"brass 2", "lantern 2"} <= weights().keys()
    assert renew() == (0, False, 0)


def test_what_waited_when_a_count_began_is_no_reason_for_the_next(env: object, large: None) -> None:
    add_products(40)
    renew()
    postgres.write("UPDATE products SET name = 'Brass lantern' WHERE id <= 10")
    postgres.write("INSERT INTO products (name, price) SELECT 'Zinc', 1 FROM generate_series(1, 5)")
    # an interrupted run, whose count is complete
    assert renew(5).left > 0
    assert renew().left == 0
    assert postgres.read("SELECT products, changed FROM content_counts") == [(45, 0)]
    # but what changed since is
    postgres.write("UPDATE products SET name = 'Tin lantern' WHERE id <= 2")
    assert not renew().is_recounted
    postgres.write("UPDATE products SET name = 'Tin lantern' WHERE id = 3")
    assert renew().is_recounted


def changes_counted() -> int:
    return int(postgres.read("SELECT changed FROM content_counts")[0][0])


def test_a_product_that_is_both_new_and_changed_is_counted_once(env: object, large: None) -> None:
    add_products(40)
    renew()
    postgres.write("INSERT INTO products (name, price) SELECT 'Zinc', 1 FROM generate_series(1, 5)")
    postgres.write("UPDATE products SET name = 'Tin' WHERE name = 'Zinc' OR id = 1")
    assert renew(0).left == 45
    assert renew().is_recounted
    assert changes_counted() == 0
    # less than a twentieth: one, although it is in two tables
    postgres.write("INSERT INTO products (name, price) VALUES ('Oak', 1)")
    postgres.write("UPDATE products SET name = 'Elm' WHERE name = 'Oak'")
    assert renew(0).left == 1
    assert not renew().is_recounted
    assert changes_counted() == 1
    # one at a time, until they are a twentieth
    postgres.write("UPDATE products SET name = 'Lantern' WHERE id = 2")
    assert not renew().is_recounted
    postgres.write("UPDATE products SET name = 'Lantern' WHERE id = 3")
    assert renew().is_recounted


def test_a_changed_product_that_waits_for_its_words_is_counted_once(env: object, large: None) -> None:
    add_products(40)
    renew()
    postgres.write("INSERT INTO content_pending (product_id, needs_words) VALUES (1, true)")
    postgres.write("UPDATE products SET name = 'Tin' WHERE id = 1")
    # a message that does not merge words
    content.refresh_batches([1])
    assert (changes_counted(), renew(0).left) == (0, 1)
    assert not renew().is_recounted
    assert (changes_counted(), renew(0).left) == (1, 0)


def test_words_of_hidden_products_have_no_weight(env: object, large: None) -> None:
    add_products(60)
    renew()
    postgres.write("INSERT INTO products (name, price, is_active) VALUES ('Brass', 1, true), ('Zinc', 1, false)")
    assert not renew().is_recounted
    assert {"brass 1", "zinc 1"} & weights().keys() == {"brass 1"}


def test_a_small_catalog_is_counted_whenever_anything_has_changed(env: object, monkeypatch: pytest.MonkeyPatch) -> None:
    add_products(40)
    renew()
    monkeypatch.setattr(content_renewal, "SMALL_CATALOG", 39)
    postgres.write("UPDATE products SET name = 'Brass lantern' WHERE id = 1")
    assert not renew().is_recounted
    monkeypatch.setattr(content_renewal, "SMALL_CATALOG", 40)
    assert renew().is_recounted
    assert not renew().is_recounted


def test_words_of_deleted_products_are_no_longer_counted(env: object) -> None:
    add_products(6)
    renew()
    postgres.write("DELETE FROM products WHERE id IN (1, 2)")
    assert renew() == (4, True, 0)
    assert postgres.read("SELECT products, changed FROM content_counts") == [(4, 0)]
    assert_as_computed_in_full()
    assert renew() == (0, False, 0)


def test_a_change_that_commits_while_its_product_is_computed_is_computed_by_the_next_run(env: object) -> None:
    add_products(12)
    renew()
    with transaction() as writer:
        postgres.execute(writer, "UPDATE products SET name = 'Brass lantern' WHERE id = 1")
        # a message of an earlier change; it waits for no writer, and sees the earlier text
        postgres.write("UPDATE products SET description = 'Tin' WHERE id = 2")
        content.refresh_batches([1, 2])
        assert renew(0).left == 12
    assert postgres.read("SELECT product_id FROM content_changes") == [(1,)]
    renew()
    found = embeddings()
    assert_equal(found, compute_by_same_weights())


def test_a_count_that_a_message_completes_meanwhile_replaces_that_of_the_night(env: object, small_steps: None) -> None:
    add_products(12)
    renew()
    postgres.write("UPDATE products SET name = 'Brass lantern' WHERE id < 7")
    # the words of some products are counted
    renew(4)
    assert postgres.read("SELECT counted_to > 0 AND products IS NULL FROM content_recounts") == [(True,)]
    postgres.write("SELECT count_content_words()")
    assert renew().left == 0
    assert_as_computed_in_full()


def test_only_changes_of_texts_and_of_what_is_shown_are_noted(env: object) -> None:
    add_products(5)
    renew()
    for statement, noted in (
        ("UPDATE products SET price = price + 1, quantity = 0, updated_at = now()", []),
        ("UPDATE products SET name = name, is_active = is_active, document = ''", []),
        ("UPDATE products SET brand = 'Oak' WHERE id = 3", [3]),
        ("UPDATE products SET is_active = false WHERE id IN (1, 2)", [1, 2]),
        # of the deleted, those that were shown
        ("DELETE FROM products WHERE id IN (2, 4, 5)", [4, 5]),
    ):
        postgres.write(statement)
        found = postgres.read("SELECT product_id FROM content_changes ORDER BY 1")
        assert [row[0] for row in found] == noted, statement
        renew()


def test_the_next_changed_products_are_found_by_an_index(env: object) -> None:
    postgres.write("INSERT INTO content_changes SELECT n / 3 FROM generate_series(1, 20000) AS n")
    with transaction() as connection:
        plan = "\n".join(
            row[0] for row in postgres.execute(connection, f"EXPLAIN {content_renewal.CHANGED}", {"batch": 100})
        )
    assert "content_changes_product_id" in plan
    assert "Sort" not in plan
    found = [row[0] for row in postgres.read(content_renewal.CHANGED, batch=100)]
    assert found == list(range(100))


def test_changes_are_noted_for_every_column_that_the_document_has(env: object) -> None:
    rows = postgres.read(
        """SELECT tgname, array_agg(attname::text ORDER BY attname) FROM pg_trigger
           JOIN pg_attribute ON attrelid = tgrelid AND attnum = ANY (tgattr)
           WHERE tgname IN ('products_write_document', 'products_content_changed') GROUP BY 1"""
    )
    columns = {name: set(names) for name, names in rows}
    assert columns["products_content_changed"] == columns["products_write_document"] | {"is_active"}


def test_a_large_catalog_is_not_counted_by_messages(env: object, monkeypatch: pytest.MonkeyPatch) -> None:
    add_products(4)
    renew()
    postgres.write("INSERT INTO products (name, price) SELECT 'Zinc', 1 FROM generate_series(1, 6)")
    content.refresh_pending()
    monkeypatch.setattr(content, "COUNTED_AT_ONCE", 9)
    assert not content.is_outdated()
    assert content.announce_recount() == 0
    monkeypatch.setattr(content, "COUNTED_AT_ONCE", 10)
    assert content.is_outdated()
    assert content.announce_recount() == 10
