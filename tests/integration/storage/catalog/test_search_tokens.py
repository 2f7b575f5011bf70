"""One tokenisation: whatever the script, a product is found by its title, by each word of it, and as people type it."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes, suggestions
from shared.storage.catalog.product_pages import Filters, Page, find
from tests.examples import examples
from tests.integration.shop import set_search_language

# the title, and other texts that must find it; a bystander of every script is among the others
TITLES: dict[str, list[str]] = {
    # Japanese: dakuten, half-width and decomposed forms, inside of a run, one character
    "ガラスの急須 セット": ["ガラス", "急須", "ｶﾞﾗｽ", "カ\u3099ラス", "急", "セット"],
    "バスタオル": ["タオル", "バス", "ﾊﾞｽﾀｵﾙ"],
    # Chinese
    "红色陶瓷茶杯": ["茶杯", "陶瓷", "红色茶杯", "杯"],
    # Korean: decomposed, spacing as people like it
    "스테인리스 텀블러": ["텀블러", "스테인리스텀블러", "\u1110\u1165\u11b7블러", "블러"],
    "무선청소기": ["무선 청소기", "청소기"],
    # Thai: tone marks and the vowel am
    "แก้วน้ำเซรามิก": ["แก้ว", "น้ำ", "เซรามิก", "แก้วน้ำ"],
    # Hindi: vowel signs, nukta composed, decomposed and left out
    "पीतल का दीपक": ["दीपक", "पीतल"],
    "क़ालीन ऊनी": ["क\u093cालीन", "कालीन", "ऊनी"],
    # Arabic: vowel signs, hamza, lengthening
    "إبريق نُحاسيّ": ["ابريق", "نحاسي", "إبـــريق", "نحاسى"],
    # Persian written with an Arabic keyboard, and its zero-width non-joiner
    "کتاب\u200cخانه چوبی": ["كتابخانه", "چوبي"],
    # Hebrew: vowel signs, gershayim
    "מְנוֹרָה קטנה": ["מנורה", "קטנה"],
    # Russian: й is a letter, ё is written as е
    "Зелёный чайник": ["зеленый", "ЧАЙНИК", "зелёный чайник"],
    "Йод 5%": ["йод", "ЙОД"],
    # Ukrainian
    "Їжак плюшевий": ["їжак", "ЇЖАК"],
    # Greek: accents and the final sigma
    "Ελληνικός καφές": ["ελληνικος", "ΚΑΦΕΣ", "καφέσ"],
    # Latin letters with marks, with and without them, and as keyboards without them write
    "Töpferware Öllampe": ["topferware", "toepferware", "ÖLLAMPE", "oellampe"],
    "Smørbrød fad": ["smorbrod", "smoerbroed", "SMØRBRØD"],
    "Crème brûlée dish": ["creme", "brulee", "BRÛLÉE"],
    "Łyżka drewniana": ["lyzka", "łyżka"],
    "Çaydanlık İstanbul": ["caydanlik", "istanbul", "ISTANBUL", "İSTANBUL"],
    "Straßenkarte": ["strassenkarte", "STRASSENKARTE"],
    "Ấm trà sứ": ["am tra", "tra su"],
    # punctuation inside of words
    "Cable 24V/3A": ["24V/3A", "24v", "24 V 3 A", "24V-3A"],
    "Filter NX.4711-08": ["NX.4711-08", "NX 4711 08", "nx4711-08", "NX471108", "4711"],
    "Drill QD-900": ["QD900", "QD-900", "qd 900", "q\u2011d-900"],
    "Camera ZT500": ["ZT-500", "zt 500", "ZT500"],
    "E-Reader Hülle": ["ereader", "e reader", "E–Reader"],
    "Hi-Fi rack": ["hifi", "hi fi", "hi-fi"],
    "L'Occitane soap": ["loccitane", "l’occitane", "occitane"],
    "Men's belt": ["mens belt", "men’s", "mens", "men belt"],
    "Rock&Roll poster": ["rock & roll", "rock&roll", "rock roll"],
    "Bistro7 Tasse": ["bistro 7", "BISTRO7", "bistro"],
    "Teppich 12m²": ["12m²", "12 m2", "12m2"],
    "Lego™ brick": ["lego", "Lego™"],
    "Shelf ½ inch": ["1/2 inch", "½"],
    "Stick v3.10.2": ["v3.10.2", "3.10.2", "v 3.10.2"],
    "Mug_with_lid": ["mug with lid", "lid"],
    "soft\u00adware box": ["software"],
    # stop words and single letters
    "The Whom – Live": ["the whom", "whom the"],
    'MAGNET "B" FRIDGE': ['magnet "b" fridge', "magnet b"],
    'MAGNET "A" FRIDGE': ['MAGNET "A" FRIDGE', "magnet a fridge"],
    "To Be Or Not": ["to be or not", "to be"],
}


@pytest.fixture(scope="module", autouse=True)
def products(module_env: object) -> Iterator[None]:
    """The titles in a shop with English stems and stop words, which must not harm the others."""
    set_search_language("english")
    rows = [ProductWrite(external_id=f"P{n}", name=name, price=1, quantity=1) for n, name in enumerate(TITLES)]  # type: ignore[arg-type]  # as JSON gives it
    with postgres.transaction() as connection:
        bulk_writes.upsert(connection, rows)
    return


def search(text: str) -> tuple[list[str], str | None]:
    answer = json.loads(find(Filters(search=text), Page(size=100)))
    return [product["name"] for product in answer["products"]], answer.get("corrected_query")


@pytest.mark.parametrize("title", TITLES)
def test_a_title_finds_its_product_first_in_every_case(title: str) -> None:
    for text in (title, title.upper(), title.lower(), f"  {title}  "):
        names, corrected = search(text)
        assert names[:1] == [title], text
        assert corrected is None, text


@pytest.mark.parametrize("title", TITLES)
def test_each_word_of_a_title_finds_it_as_typed(title: str) -> None:
    for word in title.split():
        names, corrected = search(word)
        if any(character.isalnum() for character in word):
            assert title in names, word
            assert corrected is None, word


@pytest.mark.parametrize(("title", "text"), [(title, text) for title, texts in TITLES.items() for text in texts])
def test_what_people_type_finds_the_product(title: str, text: str) -> None:
    names, corrected = search(text)
    assert title in names
    assert corrected is None
    assert len(names) < len(TITLES) / 2


def test_of_titles_that_differ_in_punctuation_the_one_as_typed_comes_first() -> None:
    for title in ("Sign, cupcake", "Sign cupcake"):
        rows = [ProductWrite.model_validate({"name": title, "price": 1}) for _ in range(4)]
        with postgres.transaction() as connection:
            bulk_writes.upsert(connection, rows)
    for title in ("Sign, cupcake", "SIGN CUPCAKE"):
        names, _corrected = search(title)
        assert [name.casefold() for name in names[:4]] == [title.casefold()] * 4
        assert len(names) == 8


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("ガラ", "ガラスの急須 セット"),
        ("스테", "스테인리스 텀블러"),
        ("แก้", "แก้วน้ำเซรามิก"),
        ("दीप", "पीतल का दीपक"),
        ("чай", "Зелёный чайник"),
        ("töp", "Töpferware Öllampe"),
        ("topf", "Töpferware Öllampe"),
        ("qd-9", "Drill QD-900"),
        ("nx.47", "Filter NX.4711-08"),
        ("ابر", "إبريق نُحاسيّ"),
    ],
)
def test_the_beginning_of_a_word_suggests_the_product(typed: str, title: str) -> None:
    texts = [suggestion["text"] for suggestion in suggestions.suggest(typed, 5)]
    assert title in texts


@pytest.mark.parametrize(
    ("typed", "word"), [("töpf", "töpferware"), ("topf", "töpferware"), ("чай", "чайник"), ("แก้", "แก้วน้ำเซรามิก")]
)
def test_a_completed_word_has_its_marks(typed: str, word: str) -> None:
    assert suggestions.suggest(typed, 5)[0] == {"text": word, "kind": "query"}


@pytest.mark.parametrize(
    ("mistyped", "title", "corrected"),
    [
        ("чяйник", "Зелёный чайник", "чайник"),
        ("दिपक", "पीतल का दीपक", "दीपक"),
        ("texpich", "Teppich 12m²", "teppich"),
        ("toepfrware", "Töpferware Öllampe", "töpferware"),
        ("텀블라", "스테인리스 텀블러", "텀블러"),
    ],
)
def test_a_typing_error_is_corrected_in_every_script(mistyped: str, title: str, corrected: str) -> None:
    assert search(mistyped) == ([title], corrected)


def test_letters_that_only_marks_tell_apart_stay_apart() -> None:
    # й is no и with an accent: a shop that has both must find each by its own
    assert search("чаиник") == (["Зелёный чайник"], "чайник")
    assert search("하")[0] == []


@pytest.mark.parametrize("text", ["!!!", "---", "™", "\u200b", "'", "\\", "::", "'':*", "\u0301", "\u3099"])
def test_a_text_without_words_finds_nothing(text: str) -> None:
    assert search(text) == ([], None)
    assert suggestions.suggest(text, 5) == []


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_any_text_is_a_search(text: str) -> None:
    names, _corrected = search(text)
    assert len(names) <= 100
    suggestions.suggest(text or "x", 3)
