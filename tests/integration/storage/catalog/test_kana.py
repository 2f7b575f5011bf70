"""Hiragana and katakana are one: a search in either finds the other, however people type the prolonged sound mark."""

import json
from collections.abc import Iterator

import pytest

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes
from shared.storage.catalog.product_pages import Filters, Page, find

# a title, and other texts that must find it
TITLES: dict[str, list[str]] = {
    "ラーメン丼": [
        "らーめん",
        "ラーメン",
        "ﾗｰﾒﾝ",
        "ラ-メン",
        "ら〜めん",
        "ラ～メン",
        "ラーーメン",
    ],
    "さくらの湯のみ": ["サクラ", "さくら", "ｻｸﾗ", "サクラの湯のみ"],
    "サーバー用ラック": ["サーバ", "サーバー", "さーばー"],
    "プリンタ台": ["プリンター", "ぷりんたー", "プリンタ"],
    "ビールジョッキ": ["びーる", "ビール", "ﾋﾞｰﾙ"],
    "ビル模型": ["びる", "ビル"],
    "コーヒー カップ": ["コーヒーカップ", "こーひーかっぷ", "コーヒー", "かっぷ"],
    "ヴァイオリン弦": ["ゔぁいおりん", "ヴァイオリン"],
    "Tシャツ ホワイト": ["tしゃつ", "ほわいと", "Tシャツ-ホワイト"],
    "がらすの器": ["ガラス", "ｶﾞﾗｽ"],
}
BYSTANDERS = ("からすの置物", "Wi-Fi router", "柏の葉")


@pytest.fixture(scope="module", autouse=True)
def products(module_env: object) -> Iterator[None]:
    """The titles, and products that none of the texts may find."""
    rows = [
        ProductWrite.model_validate({"external_id": f"P{n}", "name": name, "price": 1, "quantity": 1})
        for n, name in enumerate((*TITLES, *BYSTANDERS))
    ]
    with postgres.transaction() as connection:
        bulk_writes.upsert(connection, rows)
    return


def search(text: str) -> list[str]:
    return [product["name"] for product in json.loads(find(Filters(search=text), Page(size=100)))["products"]]


def matches(text: str) -> list[str]:
    """Return the products whose documents have all words of the text."""
    statement = "SELECT p.name FROM products p, search_query(:text, 'all') AS q WHERE p.document @@ q.matching"
    return [row[0] for row in postgres.read(statement, text=text)]


@pytest.mark.parametrize(("title", "text"), [(title, text) for title, texts in TITLES.items() for text in texts])
def test_a_search_in_one_script_finds_the_other(title: str, text: str) -> None:
    names = search(text)
    assert title in names
    assert not set(BYSTANDERS) & set(names)


def test_the_exact_title_comes_first_in_both_scripts() -> None:
    rows = [
        ProductWrite.model_validate({"external_id": name, "name": name, "price": 1})
        for name in ("てーぶる", "テーブル クロス", "テーブルの足")
    ]
    with postgres.transaction() as connection:
        bulk_writes.upsert(connection, rows)
    for text in ("テーブル", "てーぶる", "ﾃｰﾌﾞﾙ", "テ-ブル"):
        assert search(text)[0] == "てーぶる", text


def test_a_long_vowel_in_a_word_is_a_difference() -> None:
    assert "ビル模型" not in search("ビール")
    assert "ビールジョッキ" not in search("ビル")
    # an end that is part of a short word stays
    assert postgres.read(
        "SELECT search_shortened('きー'), search_shortened('コピー'), search_shortened('サーバー')"
    ) == [("きー", "コピー", "サーバ")]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ァヶヽヾヴ", "ぁゖゝゞゔ"),
        ("Wi-Fi", "wi-fi"),
        ("ラ-メン", "らーめん"),
        ("A-ライン", "a-らいん"),
        ("ライン-A", "らいん-a"),
        ("コーヒー-カップ", "こーひーかっぷ"),
        ("柏-葉", "柏-葉"),
        ("ー", "ー"),
        ("-", "-"),
    ],
)
def test_only_a_stroke_between_kana_is_the_prolonged_sound_mark(text: str, folded: str) -> None:
    assert postgres.read("SELECT search_fold(:text)", text=text)[0][0] == folded


def test_documents_of_before_are_found_until_they_are_indexed_again() -> None:
    with postgres.transaction() as connection:
        execute = connection.exec_driver_sql
        execute("ALTER TABLE products DISABLE TRIGGER products_write_document")
        execute("""UPDATE products SET title_key = NULL,
            document = setweight(to_tsvector('aisle_simple', search_text(search_unmarked(name))), 'A')""")
        execute("ALTER TABLE products ENABLE TRIGGER products_write_document")
    try:
        for text, title in (("ラーメン", "ラーメン丼"), ("サーバー", "サーバー用ラック"), ("さくら", "さくらの湯のみ")):
            assert title in matches(text), text
        # what only a new document says
        assert "ラーメン丼" not in matches("らーめん")
    finally:
        postgres.write("UPDATE products SET document = ''")
    assert "ラーメン丼" in matches("らーめん")
