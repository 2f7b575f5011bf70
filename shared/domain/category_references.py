"""Category references in requests: by id, by path, or by a name that several categories may share. No I/O."""

from typing import Final, NamedTuple

from shared.errors import CategoryNotFound

# "Home > Candles" is the category Candles inside Home
CATEGORY_SEPARATOR: Final = ">"


class CategoryReference(NamedTuple):
    """A category in a request, given by one of the two fields; if both are None, any category."""

    category_id: int | None = None
    category: str | None = None

    def not_found(self) -> CategoryNotFound:
        """Return the error for a category that does not exist."""
        name = repr(self.category) if self.category_id is None else self.category_id
        return CategoryNotFound(f"There is no category {name}; GET /products/categories lists them.")


ANY_CATEGORY: Final = CategoryReference()


def spaced(path: str) -> str:
    """Return a path in its stored form, with a space on each side of every separator."""
    return f" {CATEGORY_SEPARATOR} ".join(part.strip() for part in path.split(CATEGORY_SEPARATOR))
