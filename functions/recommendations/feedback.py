"""POST /recommendations/feedback."""

from fastapi import APIRouter

from functions.recommendations.schemas.feedback import Feedback, FeedbackAccepted
from shared.domain.product_references import ProductReference
from shared.errors import NotFound
from shared.http.api import problem_responses
from shared.storage.catalog import product_ids
from shared.storage.recommending import attribution

router = APIRouter()


@router.post("/recommendations/feedback", status_code=202, responses=problem_responses(404))
def send_feedback(feedback: Feedback) -> FeedbackAccepted:
    """Report what a user did with a product of an answer. Repeated feedback changes nothing."""
    product = ProductReference(feedback.product_id, feedback.external_id)
    product_id = product_ids.id_of(product)
    answer = attribution.record_feedback(
        str(feedback.recommendation_id), product_id, feedback.action, feedback.position
    )
    if not answer.exists:
        raise NotFound(f"There is no answer {feedback.recommendation_id}, or it is too old.")
    if not answer.showed_product:
        raise NotFound(f"The answer {feedback.recommendation_id} did not show product {product}.")
    return FeedbackAccepted(status="accepted")
