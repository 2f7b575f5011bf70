"""Google Analytics 4, Measurement Protocol: its events as reports, and its validation messages.

https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference names the fields.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from functions.collect.translation import (
    Incoming,
    Product,
    Report,
    amount,
    content_id,
    first_text,
    mapping,
    objects,
    pieces,
    reports_of,
)

MAX_EVENTS: Final = 25
_NAME: Final = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)


def user_of(body: Mapping[str, Any]) -> str | None:
    """Return the user's id, else the id of the browser or of the app's instance; None if the request has none."""
    return first_text(body, "user_id", "client_id", "app_instance_id")


def reports(body: Mapping[str, Any], event: Mapping[str, Any], position: int) -> list[Report]:
    """Return the reports of an event of a request. Without a time it has no id of its own."""
    parameters = mapping(event.get("params"))
    micros = event.get("timestamp_micros", body.get("timestamp_micros"))
    user_id = user_of(body)
    shared = {
        "user_id": user_id,
        "event_id": first_text(event, "event_id")
        or (None if micros is None else content_id(user_id, {"event": event, "at": micros, "position": position})),
        "timestamp": None if micros is None else _time(micros),
        "session_id": first_text(parameters, "session_id", "ga_session_id"),
    }
    return reports_of(
        Incoming(
            first_text(event, "name") or "",
            shared,
            [
                Product(
                    first_text(item, "item_id", "item_name") or "",
                    pieces(item.get("quantity")),
                    amount(item.get("price")),
                )
                for item in objects(parameters.get("items"))
            ],
            first_text(parameters, "transaction_id"),
            first_text(parameters, "search_term"),
            parameters,
        )
    )


def _time(micros: Any) -> Any:
    """Return microseconds since 1970 as a time. An invalid value is returned as text, for validation."""
    try:
        return datetime.fromtimestamp(int(micros) / 1_000_000, UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return str(micros)


def faults(body: Mapping[str, Any]) -> Iterable[dict[str, str]]:
    """Yield what is wrong with a request by the rules of the Measurement Protocol, as its validation messages."""
    if user_of(body) is None:
        yield fault("client_id", "VALUE_REQUIRED", "Measurement requires a client_id, an app_instance_id or a user_id.")
    events = body.get("events")
    if not isinstance(events, list) or not events:
        yield fault("events", "VALUE_REQUIRED", "Measurement requires at least one event.")
        return
    if len(events) > MAX_EVENTS:
        yield fault("events", "EXCEEDED_MAX_ENTITIES", f"A request has at most {MAX_EVENTS} events; split it.")
    for position, event in enumerate(events[:MAX_EVENTS]):
        name = event.get("name") if isinstance(event, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield fault(
                f"events[{position}].name",
                "NAME_INVALID",
                "An event's name begins with a letter and has up to 40 letters, digits and underscores.",
            )


def fault(path: str, code: str, description: str) -> dict[str, str]:
    """Return a validation message."""
    return {"fieldPath": path, "description": description, "validationCode": code}
