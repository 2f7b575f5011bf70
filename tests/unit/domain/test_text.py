"""One form for a text, however it was typed, and different forms for different texts."""

from typing import Annotated
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import StringConstraints, TypeAdapter, ValidationError

from shared.domain.text import ascii_email, canonical_email, canonical_name, nfc, nfkc

TEXTS = st.text(max_size=40)
# what canonical forms touch: combining marks, dotted and dotless i, sigmas, ligatures, Hangul, other full stops
ODD = st.text("iIıİſßẞσςΣ\u0301\u0307\u0308\u0323ﬁａＡ＠@.。．-xn1éÜ한글\u1112\u1161\u11ab\u200b\u00adａ", max_size=20)
FORMS = ("NFC", "NFD", "NFKC", "NFKD")

SAME = [
    ("jürgen@example.com", "ju\u0308rgen@example.com"),
    ("ada@example.com", "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
    ("ada@example.com", " ADA@Example.COM "),
    ("ilker@example.com", "İlker@example.com"),
    ("ilker@example.com", "i\u0307lker@example.com"),
    # an encoded label that holds an i with a dot above
    ("ada@ix.de", "ada@xn--ix-rub.de"),
    ("ada@iü.de", "ada@xn--i-eha28m.de"),
    ("ilker@example.com", "İLKER@EXAMPLE.COM"),
    ("joe@münchen.de", "joe@xn--mnchen-3ya.de"),
    ("joe@münchen.de", "joe@mu\u0308nchen.de"),
    ("joe@münchen.de", "joe@MÜNCHEN.de"),
    ("joe@münchen.de", "joe@XN--MNCHEN-3YA.DE"),
    ("joe@münchen.de", "joe@münchen。de"),
    ("ﬁn@example.com", "fin@example.com"),
    ("ΝΊΚΟΣ@example.com", "νίκος@example.com"),
]
APART = [
    ("strasse@example.com", "straße@example.com"),
    ("ada@strasse.de", "ada@straße.de"),
    ("ilker@example.com", "ılker@example.com"),
    ("jurgen@example.com", "jürgen@example.com"),
    ("ada@example.com", "ada+shop@example.com"),
    ("ada@example.com", "a.da@example.com"),
    # Cyrillic a
    ("ada@example.com", "аda@example.com"),
    ("joe@munchen.de", "joe@münchen.de"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_one_mailbox_is_one_email(first: str, second: str) -> None:
    assert canonical_email(first) == canonical_email(second)


@pytest.mark.parametrize(("first", "second"), APART)
def test_two_mailboxes_are_two_emails(first: str, second: str) -> None:
    assert canonical_email(first) != canonical_email(second)


@given(TEXTS | ODD, TEXTS | ODD)
def test_the_canonical_form_of_an_email_is_its_own(local: str, domain: str) -> None:
    email = canonical_email(f"{local}@{domain}.de")
    assert canonical_email(email) == email


@given(ODD, st.sampled_from(FORMS))
def test_an_email_is_the_same_in_every_unicode_form(local: str, form: str) -> None:
    # a form of Unicode may move a mark, which counts as the same text
    email = f"{normalize('NFC', local)}@münchen.de"
    assert canonical_email(normalize(form, email)) == canonical_email(normalize("NFKC", email))


@given(st.text("abcäöüßéñçøł", min_size=1, max_size=20), st.sampled_from(FORMS))
def test_a_domain_is_the_same_in_unicode_and_in_ascii(label: str, form: str) -> None:
    email = canonical_email(f"ada@{label}.de")
    assert canonical_email(ascii_email(email).upper()) == email == canonical_email(normalize(form, email))
    assert ascii_email(email).isascii()


@pytest.mark.parametrize("domain", ["xn--a", "☃.de", "xn--mnchen-3ya-.de", "-ü.de", ".ü.de", "ü" * 64 + ".de"])
def test_a_domain_that_idna_forbids_has_no_address_and_raises_nothing_at_a_login(domain: str) -> None:
    email = canonical_email(f"ada@{domain}")
    assert canonical_email(email) == email
    with pytest.raises(ValueError, match=r"."):
        ascii_email(email)


@given(TEXTS | ODD, st.sampled_from(FORMS[:2]))
def test_a_name_is_the_same_composed_and_decomposed(name: str, form: str) -> None:
    assert canonical_name(normalize(form, name)) == canonical_name(name)
    assert canonical_name(canonical_name(name)) == canonical_name(name)


@pytest.mark.parametrize("name", ["Straße", "STRASSE", "ﬁn", "Ａ", "①"])
def test_a_name_keeps_its_letters(name: str) -> None:
    assert canonical_name(name) == name


SHORT = TypeAdapter(Annotated[str, StringConstraints(max_length=3, strict=True), nfc(3)])
COMPATIBLE = TypeAdapter(Annotated[str, StringConstraints(max_length=3), nfkc(3)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("e\u0301" * 3, "é" * 3), ("한" * 3, "한" * 3), (normalize("NFD", "한" * 3), "한" * 3), ("", "")],
)
def test_the_limit_counts_the_canonical_form(text: str, expected: str) -> None:
    assert SHORT.validate_python(text) == expected


@pytest.mark.parametrize("text", ["e\u0301" * 4, "abcd", normalize("NFD", "한" * 4), "\u0301" * 100_000, 3, None])
def test_a_text_beyond_the_limit_is_refused_in_every_form(text: object) -> None:
    with pytest.raises(ValidationError):
        SHORT.validate_python(text)


def test_a_text_that_grows_beyond_the_limit_is_refused() -> None:
    # U+FDFA is eighteen characters in NFKC
    assert COMPATIBLE.validate_python("ﬁn") == "fin"
    for text in ("ﬁns", "\ufdfa"):
        with pytest.raises(ValidationError):
            COMPATIBLE.validate_python(text)
