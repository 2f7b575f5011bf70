"""Which files are images, and what they are called."""

import pytest

from shared.domain.images import ContentType, content_type_of, is_of_type, name_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20
WEBP = b"RIFF\x24\0\0\0WEBPVP8 "
FILES: dict[ContentType, bytes] = {"image/png": PNG, "image/jpeg": JPEG, "image/webp": WEBP}


@pytest.mark.parametrize("content_type", FILES)
@pytest.mark.parametrize("other", FILES)
def test_a_file_is_of_the_type_that_it_begins_as(content_type: ContentType, other: ContentType) -> None:
    assert is_of_type(FILES[other], content_type) == (content_type == other)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        b"<!doctype html><script>1</script>",
        b"GIF89a" + b"\0" * 20,
        # a byte before the signature, and one too few
        b" " + PNG,
        PNG[:7],
        JPEG[:2],
        # a sound, which is in the same container
        b"RIFF\x24\0\0\0WAVEfmt ",
        WEBP[:11],
    ],
)
def test_any_other_file_is_of_none(body: bytes) -> None:
    assert not any(is_of_type(body, content_type) for content_type in FILES)


def test_the_name_follows_the_content() -> None:
    assert name_of(PNG, "image/png") == name_of(PNG, "image/png")
    assert name_of(PNG, "image/png") != name_of(PNG + b"\0", "image/png")
    assert content_type_of(name_of(JPEG, "image/jpeg")) == "image/jpeg"
    assert content_type_of(name_of(WEBP, "image/webp")) == "image/webp"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 31 + ".png",
        "a" * 33 + ".png",
        "A" * 32 + ".png",
        "a" * 32,
        "a" * 32 + ".svg",
        "a" * 32 + ".png.html",
        "a" * 32 + ".png\n",
        "../" + "a" * 32 + ".png",
        "%2e%2e/" + "a" * 32 + ".png",
    ],
)
def test_no_other_name_is_an_image(name: str) -> None:
    assert content_type_of(name) is None
