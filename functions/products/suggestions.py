"""Route of suggestions: completions of what a shopper types."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.products.answering import NOT_MODIFIED, stored_answer
from functions.products.schemas.catalog import SuggestionList, SuggestionQuery
from shared.http.answers import dump
from shared.storage.answers.protocol import catalog_key
from shared.storage.catalog import suggestions

router = APIRouter(prefix="/products/suggest", tags=["suggestions"])


@router.get("", response_model=SuggestionList, responses=NOT_MODIFIED)
async def list_suggestions(request: Request, query: Annotated[SuggestionQuery, InQuery()]) -> Response:
    """Return completions of the text being typed: searches, categories and products. Typing errors are corrected."""

    def compute() -> bytes:
        return dump({"suggestions": suggestions.suggest(query.q, query.k)})

    return await stored_answer(request, catalog_key("suggest", query.q, query.k), compute)
