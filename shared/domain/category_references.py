"""How a request names a category: by its id, its path, or the name that several may have. No I/O."""

from typing import Final, NamedTuple

from shared.errors import CategoryNotFound

# "Home > Candles" is the category Candles inside Home
CATEGORY_SEPARATOR: Final = ">"


class CategoryReference(NamedTuple):
    """A category of a request, by one of the two; neither means any category."""

    category_id: int | None = None
    category: str | None = None

    def not_found(self) -> CategoryNotFound:
        """Return the problem of a category that does not exist."""
        name = repr(self.category) if self.category_id is None else self.category_id
        return CategoryNotFound(f"There is no category {name}; GET /products/categories lists them.")


ANY_CATEGORY: Final = CategoryReference()


def spaced(path: str) -> str:
    """Return a path as it is stored, with a space on both sides of each separator."""
    return f" {CATEGORY_SEPARATOR} ".join(part.strip() for part in path.split(CATEGORY_SEPARATOR))
