"""A message as its reader gets it, in a mail program, as a file, or as source."""

from collections.abc import Iterator

import pytest

from shared.clients import reset
from shared.mail import Mail
from shared.mail.composing import LONGEST_LINE, compose

LINK = "http://localhost:8080/auth/set-password?token=" + "t" * 43 + "." + "m" * 43


@pytest.fixture(autouse=True)
def sender(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MAIL_FROM", "Shop <shop@example.com>")
    reset()
    yield
    reset()


def test_a_link_stands_whole_on_its_line_in_the_source() -> None:
    message = compose(Mail("ada@example.com", "A plüm", f"Open this link:\n\n{LINK}\n"))
    assert LINK in message.as_bytes().decode("ascii").splitlines()
    assert message["Content-Transfer-Encoding"] == "7bit"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Ein Pflaumenbäumchen " + LINK, "quoted-printable"),
        ("l" * LONGEST_LINE, "7bit"),
        ("l" * (LONGEST_LINE + 1), "quoted-printable"),
    ],
    ids=["not ASCII", "longest line", "too long a line"],
)
def test_what_smtp_does_not_carry_is_encoded_and_decodes_to_the_same_text(text: str, encoding: str) -> None:
    message = compose(Mail("ada@example.com", "A plum", text + "\n"))
    assert message["Content-Transfer-Encoding"] == encoding
    assert message.get_content() == text + "\n"
    lines = message.as_bytes().split(b"\r\n")
    assert max(map(len, lines)) <= LONGEST_LINE
