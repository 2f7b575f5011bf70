"""Which addresses are those of drawn pictures."""

import pytest

from shared.domain.pictures import is_picture

HERE = "https://shop.example/api"


@pytest.mark.parametrize("url", [f"{HERE}/images/1.svg", f"{HERE}/images/907.svg"])
def test_the_address_of_a_drawn_picture(url: str) -> None:
    assert is_picture(url, HERE)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/images/1.svg",
        "https://other.example/api/images/1.svg",
        f"{HERE}/images/0.svg",
        f"{HERE}/images/01.svg",
        f"{HERE}/images/one.svg",
        f"{HERE}/images/1.png",
        f"{HERE}/images/1.svg?v=2",
        f"{HERE}/images/1.svg/more",
        f"{HERE}/images/1.svg\n",
        f"{HERE}/more/images/1.svg",
        f"{HERE}images/1.svg",
        HERE,
    ],
)
def test_another_image_is_the_shop_s_own(url: str) -> None:
    assert not is_picture(url, HERE)


def test_without_a_public_address_every_image_is_the_shop_s_own() -> None:
    assert not is_picture(f"{HERE}/images/1.svg", None)
