import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.spelling import allowed_distance, correction, distance


@pytest.mark.parametrize(
    ("word", "other_word", "expected"),
    [
        ("hart", "heart", 1),
        ("lantren", "lantern", 1),
        ("chrismas", "christmas", 1),
        ("kettel", "kettle", 1),
        ("cat", "cat", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("ca", "abc", 3),
        ("sunday", "saturday", 3),
    ],
)
def test_distance_counts_insertions_deletions_substitutions_and_swaps(
    word: str, other_word: str, expected: int
) -> None:
    assert distance(word, other_word) == expected


words = st.text("abcd", max_size=7)


@given(words, words)
def test_distance_is_symmetric_and_bounded_by_the_longer_word(word: str, other_word: str) -> None:
    edits = distance(word, other_word)
    assert edits == distance(other_word, word)
    assert abs(len(word) - len(other_word)) <= edits <= max(len(word), len(other_word))
    assert (edits == 0) == (word == other_word)


def test_the_nearest_word_wins_then_the_most_frequent() -> None:
    assert correction("hart", [("hard", 3), ("heart", 554), ("hat", 4), ("harmonica", 900)]) == "heart"
    assert correction("lantren", [("lanterns", 500), ("lantern", 2)]) == "lantern"


def test_the_first_letter_is_seldom_mistyped() -> None:
    assert correction("hart", [("chart", 900), ("heart", 2)]) == "heart"


def test_a_word_too_far_from_all_is_left_alone() -> None:
    assert correction("xyzzy", [("lantern", 100), ("heart", 100)]) is None
    assert correction("xyzzy", []) is None
    assert correction("heart", [("heart", 100)]) is None
    # equal words from two places
    assert correction("".join(("hea", "rt")), [("".join(("he", "art")), 100)]) is None


def test_a_word_still_being_typed_may_be_the_beginning_of_another() -> None:
    candidates = [("thermometer", 5)]
    assert correction("themro", candidates) is None
    assert correction("themro", candidates, partial=True) == "thermometer"
    assert correction("thermome", candidates, partial=True) == "thermometer"


@pytest.mark.parametrize(
    ("word", "mistakes"), [("cat", 1), ("tree", 1), ("heart", 2), ("lanterns", 2), ("christmas", 3)]
)
def test_long_words_may_have_more_mistakes(word: str, mistakes: int) -> None:
    assert allowed_distance(word) == mistakes
