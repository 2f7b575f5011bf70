"""The full-text query of a search. PostgreSQL takes the text apart, by the functions that wrote the documents.

docs/decisions/0040-one-tokenisation.md
"""

from typing import Any, Final, Literal

# Which products match: those with all words, with all but one of them, or with any.
Matching = Literal["all", "most", "any"]

# Three columns: `matching` decides which products match; `complete` takes every word as complete, and ranks them;
# `title_key` is that of the products whose title is the text.
TEXT_QUERY: Final = """
    SELECT matching, complete, search_key(:search) AS title_key FROM search_query(:search, :how)"""


def text_parameters(search: str, how: Matching = "all") -> dict[str, Any]:
    """Return the parameters of TEXT_QUERY."""
    return {"search": search, "how": how}
