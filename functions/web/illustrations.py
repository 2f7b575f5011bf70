"""Pictures of products that have no image: SVG drawn from title and category alone, the same for the same product.

The top category chooses the colours, so that a shelf looks like one shelf; the leaf chooses the background. A word of
the title or the category chooses the object, such as a mug; without one the picture shows the title's initials.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple
from zlib import crc32

from functions.web.drawings import BACKGROUNDS, OBJECTS
from shared.domain.category_references import CATEGORY_SEPARATOR

SIZE: Final = 600
LINE_WIDTH: Final = 24
MAX_LINES: Final = 3
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
# what XML 1.0 cannot hold, not even as a reference
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORD: Final = re.compile(r"[^\W\d_]+")


class Palette(NamedTuple):
    """Colours: light and deeper ground, two of the object, and the text on the light ground."""

    light: str
    ground: str
    accent: str
    object: str
    text: str


PALETTES: Final = (
    Palette("#fdf1e7", "#f7d9c0", "#e9a178", "#c4633b", "#5c2a14"),
    Palette("#eef4ec", "#d2e3cc", "#93b98a", "#4f7f4a", "#23401f"),
    Palette("#ebf2fa", "#cadef2", "#86b0dc", "#3f73ab", "#173a5e"),
    Palette("#f6eef8", "#e4d0ea", "#b98bc9", "#7d4a91", "#41204e"),
    Palette("#fdf6de", "#f6e4a3", "#dfb94a", "#a67c13", "#523b05"),
    Palette("#e8f5f3", "#c1e4df", "#74bdb3", "#2f7f75", "#123f3a"),
    Palette("#fceef0", "#f6cfd5", "#e18c9a", "#b4485b", "#5c1a27"),
    Palette("#f0f0f4", "#d8d9e3", "#9ea1ba", "#5b5f80", "#272a42"),
)


def draw(title: str, category_path: str | None) -> bytes:
    """Return the picture of a product as SVG. ``category_path`` is such as `Home > Candles`."""
    parts = [part.strip() for part in (category_path or "").split(CATEGORY_SEPARATOR.strip())]
    palette = PALETTES[_number(parts[0]) % len(PALETTES)]
    background = BACKGROUNDS[_number(parts[-1]) % len(BACKGROUNDS)]
    lines = wrapped(title)
    baseline = 560 - 40 * (len(lines) - 1)
    text = "".join(
        f'<text x="300" y="{baseline + 40 * number}" font-size="32" font-weight="600" text-anchor="middle" '
        f'fill="{palette.text}">{escaped(line)}</text>'
        for number, line in enumerate(lines)
    )
    drawing = OBJECTS.get(object_of(title, parts) or "")
    # the title may need the room of the object
    raised = 40 * (len(lines) - 1) // 2
    centre = (
        f'<g transform="translate(300 {270 - raised})">{_coloured(drawing, palette)}</g>'
        if drawing
        else f'<circle cx="300" cy="{260 - raised}" r="130" fill="{palette.object}"/>'
        f'<text x="300" y="{298 - raised}" font-size="110" font-weight="700" text-anchor="middle" '
        f'fill="{palette.light}">{escaped(initials(title))}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}" '
        f'role="img" font-family="{_FONT}"><title>{escaped(title)}</title>'
        f'<rect width="{SIZE}" height="{SIZE}" fill="{palette.light}"/>'
        f"{_coloured(background, palette)}{centre}{text}</svg>"
    ).encode()


def escaped(text: str) -> str:
    """Return a text as the content of an XML element; characters that XML cannot hold are left out."""
    return _NOT_XML.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def initials(title: str) -> str:
    """Return the first letters of the first two words; of a word of ideographs, its first character; else a dot."""
    words = _WORD.findall(title)
    if not words:
        return next((character for character in title if character.isalnum()), "·")
    letters = [word[0] for word in words[:2]]
    return letters[0] if _width(letters[0]) > 1 else "".join(letters).upper()[:2]


def wrapped(title: str) -> list[str]:
    """Return the title in at most MAX_LINES lines of LINE_WIDTH letters; an ellipsis stands for the rest."""
    lines = [""]
    for word in title.split():
        for part in _pieces(word):
            joined = f"{lines[-1]} {part}" if lines[-1] else part
            if _width(joined) <= LINE_WIDTH:
                lines[-1] = joined
            else:
                lines.append(part)
        if len(lines) > MAX_LINES:
            last = lines[MAX_LINES - 1]
            while _width(last) >= LINE_WIDTH:
                last = last[:-1]
            return [*lines[: MAX_LINES - 1], f"{last.rstrip()}…"]
    return lines


def object_of(title: str, category: Sequence[str]) -> str | None:
    """Return the name of the object in a product's picture; None if no word names one.

    The last such word of the title decides, since `cake box` is a box; then the category's, its leaf first.
    """
    for text in (title, *reversed(category)):
        for word in reversed(_WORD.findall(text.casefold())):
            for name in (word, word.removesuffix("s"), word.removesuffix("es")):
                if name in OBJECT_OF_WORD:
                    return OBJECT_OF_WORD[name]
    return None


def _pieces(word: str) -> list[str]:
    pieces = [""]
    for character in word:
        if _width(pieces[-1] + character) > LINE_WIDTH:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _number(text: str) -> int:
    return crc32(text.casefold().encode(errors="replace"))


def _coloured(drawing: str, palette: Palette) -> str:
    for name, colour in palette._asdict().items():
        drawing = drawing.replace(f'"{name}"', f'"{colour}"')
    return drawing


# by the words of titles and categories, in the singular
OBJECT_OF_WORD: Final = {
    word: name
    for name, words in {
        "bag": "bag handbag tote backpack rucksack purse satchel pouch basket",
        "book": "book notebook diary journal novel calendar album stationery",
        "bottle": "bottle flask thermos jar vase perfume",
        "box": "box crate tin chest trunk drawer case gift present storage",
        "cake": "cake cakestand bakery baking cupcake dessert",
        "candle": "candle tealight tlight candlestick holder votive",
        "card": "card postcard envelope letter sign poster frame picture print",
        "chair": "chair stool sofa seat armchair furniture bench cushion",
        "clock": "clock watch alarm timer",
        "decoration": "decoration bauble ornament christmas garland bunting tree",
        "device": "phone tablet smartphone laptop computer screen monitor electronics electronic camera",
        "headphones": "headphone earphone headset audio speaker",
        "heart": "heart love valentine",
        "jewel": "ring necklace bracelet earring jewellery jewelry jewel pendant",
        "lamp": "lamp lantern light lights bulb lighting",
        "mug": "mug cup teacup tea coffee beaker saucer kitchen",
        "plant": "plant flower garden leaf herb seed pot outdoor",
        "plate": "plate bowl dish platter tray dinner",
        "shirt": "shirt tshirt dress jacket coat hoodie sweater clothing apparel apron fashion",
        "shoe": "shoe boot sneaker sandal trainer footwear",
        "toy": "toy game doll teddy bear puzzle children kid baby",
        "ball": "ball football sport sports fitness tennis",
        "umbrella": "umbrella parasol rain",
    }.items()
    for word in words.split()
}
