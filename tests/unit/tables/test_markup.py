"""Descriptions lose their tags and keep their text."""

import time

import pytest

from shared.tables.markup import plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Soft, <b>light</b>\nlinen</p>", "Soft, light linen"),
        ("<P CLASS='x'>HTML<br/>text &amp; more</P>", "HTML\ntext & more"),
        ("<ul><li>a<li>b</ul>", "a\nb"),
        ("A<script>if (1 < 2) { alert('</p>') }</script>B<style>p{}</style>", "AB"),
        ("A<!-- <p>not</p> -->B", "AB"),
        ("A<script>never closed", "A"),
        ("A<br>B<!-- never closed", "A\nB"),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "1 2"),
        ("5&quot; pipe &#8211; &nbsp;&eacute;", '5" pipe – \xa0é'),
        # what is no HTML stays as it is
        ("5 < 6 > 3 & <unknown>\nline", "5 < 6 > 3 & <unknown>\nline"),
        ("R&D; &nosuch;", "R&D; &nosuch;"),
        ("", ""),
    ],
)
def test_tags_go_and_text_stays(html: str, text: str) -> None:
    assert plain_text(html) == text


@pytest.mark.parametrize("part", ["<!--", "<script>", "<b ", "</", "&", "&amp", "<p>", "<script></scrip"])
def test_the_time_is_linear_in_the_text(part: str) -> None:
    begun = time.perf_counter()
    plain_text(part * (200_000 // len(part)))
    assert time.perf_counter() - begun < 2
