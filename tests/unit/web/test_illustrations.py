"""Drawn pictures: the same for the same product, well-formed whatever a title holds, and legible."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.web.drawings import OBJECTS
from functions.web.illustrations import (
    LINE_WIDTH,
    MAX_LINES,
    OBJECT_OF_WORD,
    PALETTES,
    draw,
    initials,
    object_of,
    wrapped,
)
from tests.examples import examples

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {f"{SVG}{name}" for name in ("svg", "title", "rect", "circle", "ellipse", "path", "g", "text")}


def parsed(title: str, category: str | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(draw(title, category))  # noqa: S314 — what is parsed was drawn here


@pytest.mark.parametrize(
    "title",
    [
        "</text><script>alert(1)</script>",
        "</title></svg><script xmlns='http://www.w3.org/1999/xhtml'>alert(1)</script>",
        "<![CDATA[ ]]> <!-- --> <?php ?>",
        '&amp; &#x3c;script&#x3e; " onload="alert(1)"',
        "a\x00b\x08c\ufffe\ud800",
        "",
        "   ",
    ],
)
def test_a_hostile_title_is_text_and_nothing_else(title: str) -> None:
    root = parsed(title, title)
    assert {element.tag for element in root.iter()} <= DRAWN
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in attributes if name.startswith("on") or "href" in name or name == "style"]
    words = [word for word in title.split() if word.isascii() and word.isprintable()]
    assert (root.findtext(f"{SVG}title") or "").split()[: len(words)] == words


@given(st.text(max_size=80), st.none() | st.text(max_size=40))
@settings(max_examples=examples(100), deadline=None)
def test_any_title_and_category_make_a_picture(title: str, category: str | None) -> None:
    root = parsed(title, category)
    assert {element.tag for element in root.iter()} <= DRAWN
    assert draw(title, category) == draw(title, category)


def test_a_picture_depends_on_title_and_category_alone() -> None:
    assert draw("Tea mug", "Kitchen > Mugs") == draw("Tea mug", "Kitchen > Mugs")
    assert draw("Tea mug", "Kitchen > Mugs") != draw("Tea cup", "Kitchen > Mugs")
    assert draw("Tea mug", "Garden") != draw("Tea mug", "Kitchen")


def test_products_of_one_top_category_have_the_same_colours() -> None:
    def ground(category: str) -> str | None:
        rectangle = parsed("Thing", category).find(f"{SVG}rect")
        assert rectangle is not None
        return rectangle.get("fill")

    assert ground("Kitchen > Mugs") == ground("kitchen > Plates") == ground("Kitchen")
    assert len({ground(f"Category {number}") for number in range(40)}) == len(PALETTES)


@pytest.mark.parametrize(
    ("title", "category", "name"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "", "candle"),
        ("JUMBO BAGS", "", "bag"),
        ("Six boxes", "", "box"),
        # the last word that names something
        ("Cake box", "", "box"),
        ("Xylopharb", "Home > Candles", "candle"),
        ("Xylopharb", "Kitchen > Widgets", "mug"),
        ("Xylopharb", "Widgets", None),
        ("Baggage", "", None),
        ("Organic T-shirt", "", "shirt"),
    ],
)
def test_a_word_names_the_object(title: str, category: str, name: str | None) -> None:
    assert object_of(title, category.split(" > ")) == name


def test_every_word_names_an_object_and_every_object_is_named() -> None:
    assert set(OBJECT_OF_WORD.values()) == set(OBJECTS)
    # a word that no title is split into would name nothing
    assert {word: object_of(word, ()) for word in OBJECT_OF_WORD} == OBJECT_OF_WORD


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("tea mug large", "TM"),
        ("Xylopharb 3000", "X"),
        ("3000", "3"),
        ("青い花瓶", "青"),
        ("…", "·"),
        ("", "·"),
        ("ß", "SS"),
    ],
)
def test_initials(title: str, expected: str) -> None:
    assert initials(title) == expected


def test_a_title_is_wrapped_between_words_and_cut_at_the_end() -> None:
    assert wrapped("Tea mug") == ["Tea mug"]
    assert wrapped("x" * LINE_WIDTH) == ["x" * LINE_WIDTH]
    assert wrapped("x" * (LINE_WIDTH + 1)) == ["x" * LINE_WIDTH, "x"]
    assert wrapped("青" * (LINE_WIDTH // 2 + 1)) == ["青" * (LINE_WIDTH // 2), "青"]
    lines = wrapped("a long word " * 20)
    assert len(lines) == MAX_LINES
    assert lines[-1].endswith("…")
    assert max(map(len, lines)) <= LINE_WIDTH
