"""Route of categories."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.products.answering import NOT_MODIFIED, WithoutQuery, stored_answer
from functions.products.schemas.catalog import Category
from shared.storage.answers.protocol import CATEGORIES_KEY
from shared.storage.catalog import categories

router = APIRouter(prefix="/products/categories", tags=["categories"])


@router.get("", response_model=list[Category], responses=NOT_MODIFIED)
async def list_categories(request: Request, _query: WithoutQuery) -> Response:
    """List all categories by name."""
    return await stored_answer(request, CATEGORIES_KEY, categories.list_categories)
