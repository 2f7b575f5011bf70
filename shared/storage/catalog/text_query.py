"""The full-text query of a search. PostgreSQL tokenizes the text with the functions that built the documents.

docs/decisions/0040-one-tokenisation.md
"""

from typing import Any, Final, Literal

from shared.clients.postgres import read

# Which products match: those with all words, with all but one of them, or with any.
Matching = Literal["all", "most", "any"]

# Three columns: `matching` decides which products match; `complete` treats every word as complete and ranks the
# matches; `title_key` is the key of products whose title equals the text.
TEXT_QUERY: Final = """
    SELECT matching, complete, search_key(:search) AS title_key FROM search_query(:search, :how)"""


def text_parameters(search: str, how: Matching = "all") -> dict[str, Any]:
    """Return the parameters of TEXT_QUERY."""
    return {"search": search, "how": how}


# As text, because the driver has no type for tsquery.
_READ: Final = f"SELECT matching::text, complete::text, title_key FROM ({TEXT_QUERY}) AS q"


def read_text_query(search: str, how: Matching) -> dict[str, Any]:
    """Return the columns of TEXT_QUERY as statement parameters, from which the planner can estimate the matches."""
    matching, complete, title_key = read(_READ, **text_parameters(search, how))[0]
    return {"matching": matching, "complete": complete, "title_key": title_key}
