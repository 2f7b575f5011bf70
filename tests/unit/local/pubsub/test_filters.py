"""The subscription filter language."""

import pytest

from local.pubsub.filters import FilterError, parse_filter


@pytest.mark.parametrize(
    ("text", "attributes", "matches"),
    [
        ("attributes:lang", {"lang": ""}, True),
        ("attributes:lang", {"Lang": "en"}, False),
        ('attributes.lang = "en"', {"lang": "en"}, True),
        ('attributes.lang="en"', {"lang": "EN"}, False),
        ('attributes.lang != "en"', {"lang": "de"}, True),
        ('attributes.lang != "en"', {"lang": "en"}, False),
        ('attributes.lang != "en"', {}, True),
        ('hasPrefix(attributes.lang, "e")', {"lang": "en"}, True),
        ('hasPrefix(attributes.lang, "e")', {"lang": "de"}, False),
        ('hasPrefix(attributes.lang, "")', {}, False),
        ("NOT attributes:lang", {}, True),
        ("-attributes:lang", {"lang": "en"}, False),
        ("attributes:a AND attributes:b AND attributes:c", {"a": "", "b": "", "c": ""}, True),
        ("attributes:a AND attributes:b", {"a": ""}, False),
        ("attributes:a OR attributes:b OR attributes:c", {"c": ""}, True),
        ("(attributes:a OR attributes:b) AND attributes:c", {"a": "", "c": ""}, True),
        ("(attributes:a OR attributes:b) AND attributes:c", {"a": ""}, False),
        ("NOT (attributes:a OR attributes:b)", {"b": ""}, False),
        ("NOT attributes:a AND attributes:b", {"b": ""}, True),
        ("((attributes:a))", {"a": ""}, True),
        ('attributes:"a key, with. anything"', {"a key, with. anything": ""}, True),
        ("attributes:iana-tag_2", {"iana-tag_2": ""}, True),
        (r'attributes.k = "say \"hi\" \\ \u00e9 \x41 \101 \n"', {"k": 'say "hi" \\ é A A \n'}, True),
        ('  attributes.k\n=\t"v" ', {"k": "v"}, True),
        ('attributes.event_types = "purchase" OR attributes.has_purchase = "true"', {"has_purchase": "true"}, True),
    ],
)
def test_a_filter_selects_by_attributes(text: str, attributes: dict[str, str], matches: bool) -> None:
    assert parse_filter(text)(attributes) is matches


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lang",
        "attributes",
        "attributes.lang",
        "attributes:",
        'attributes.lang == "en"',
        "attributes.lang = en",
        "attributes.lang = 'en'",
        'attributes.lang > "en"',
        'attributes.lang = "en',
        "attributes:a attributes:b",
        "attributes:a AND",
        "attributes:a and attributes:b",
        "AND attributes:a",
        "attributes:AND",
        "(attributes:a",
        "attributes:a)",
        'hasPrefix(attributes:a, "x")',
        'hasPrefix(attributes.a "x")',
        'hasprefix(attributes.a, "x")',
        'attributes.a = "\\x"',
        "attributes:a AND attributes:b OR attributes:c",
        "attributes:a OR attributes:b AND attributes:c",
        'data = "x"',
        "attributes:" + "k" * 300,
        "(" * 200 + "attributes:a" + ")" * 200,
    ],
)
def test_an_invalid_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text)


def test_mixing_and_with_or_names_the_missing_parentheses() -> None:
    with pytest.raises(FilterError, match="parentheses"):
        parse_filter("attributes:a AND attributes:b OR attributes:c")


def test_a_deeply_negated_filter_is_read_or_refused_but_never_crashes() -> None:
    text = "-" * 240 + "attributes:a"
    try:
        predicate = parse_filter(text)
    except FilterError:
        return
    assert predicate({"a": ""}) is True
