"""What the pages read before they show anything: the shop's public settings, and what a visitor may do here."""

import time
from threading import Lock
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.web.schemas import PageSettings
from shared.clients import closed_on_reset
from shared.http.answers import dump, fresh
from shared.settings import settings
from shared.storage.operations import shop
from shared.storage.people import sample_customers

router = APIRouter(tags=["pages"])

# Seconds for which the sample of customers is kept: it changes when data are loaded.
SAMPLE_MAX_AGE_S: Final = 30.0


class _Sample:
    def __init__(self) -> None:
        self.customers: list[dict[str, Any]] = []
        self.read_at = float("-inf")
        self.lock = Lock()


_sample = _Sample()


@closed_on_reset
def forget_sample() -> None:
    """Forget the sample: it belongs to another database."""
    global _sample
    _sample = _Sample()


def _customers() -> list[dict[str, Any]]:
    sample = _sample
    # concurrent requests wait for one reading
    with sample.lock:
        if time.monotonic() - sample.read_at >= SAMPLE_MAX_AGE_S:
            sample.customers = [customer._asdict() for customer in sample_customers.read_sample()]
            sample.read_at = time.monotonic()
        return sample.customers


@router.get("/web/config.json", response_model=PageSettings)
def get_page_settings(request: Request) -> Response:
    """Get the shop's public settings; on a local system that trusts the shop's own user ids, also sample customers."""
    current = shop.current()
    body: dict[str, Any] = {
        "name": current.name,
        "currency": current.currency,
        "currency_decimals": current.currency_decimals,
        "time_zone": current.time_zone,
        "language": current.search_language,
        "api": "",
        "trust_shop_ids": settings().shop_ids_suffice,
    }
    # Never in the cloud: where an id suffices, it is a credential, and this answer is public.
    if settings().shop_ids_suffice and settings().environment == "local":
        body["shop_as"] = _customers()
    return fresh(request, dump(body), max_age_s=0)
