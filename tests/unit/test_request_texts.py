"""Every text that a request may contain refuses what Postgres cannot store, and times that overflow."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Annotated, Any, Final, get_args, get_origin

import pytest
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from functions.accounts.schemas import AccountRegistration, LoginRequest
from functions.admin.schemas.rules import RuleWrite
from shared.domain.events import Event
from shared.http.routes import all_routes
from shared.manifest import manifest
from shared.validation import field_errors

# hashed or compared with a signature, and never stored as they are
HASHED: Final = {"password", "current_password", "new_password", "refresh_token", "token", "upload"}
# checked by each route against the manifest, or by the header's own pattern
CHECKED: Final = {"name", "Idempotency-Key"}
# held by shared/domain/json_values.py as a whole
JSON: Final = {"metadata"}
# objects of another system, translated into products and events whose own texts are checked
TRANSLATED: Final = {f"POST /v1/medusa {name}" for name in ("product", "categories", "order")}
FORMS: Final = ("a\0b", "a\x07b", "\x1b", "a\0b@example.com", "ab@exa\0mple.com", "acct_\0", "1\0", "\0")


def routes() -> Iterator[tuple[str, APIRoute]]:
    for entry in manifest().of_kind("http"):
        for path, route in all_routes(import_module(f"functions.{entry.name}.main").app):
            for method in sorted(route.methods):
                yield f"{method} {path}", route


def texts(annotation: Any, metadata: tuple[Any, ...], name: str) -> Iterator[tuple[str, Any]]:
    """Every text inside a type, as ``(name, type)``."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from texts(inner, (*more, *metadata), name)
    elif annotation is str:
        yield name, Annotated[str, *metadata] if metadata else str
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field_name, field in annotation.model_fields.items():
            yield from texts(field.annotation, tuple(field.metadata), field.alias or field_name)
    else:
        for part in get_args(annotation):
            # what validates a list does not validate its texts
            own = metadata if get_origin(annotation) is not list else ()
            yield from texts(part, own, name)


def request_texts() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for route_name, route in routes():
        fields = [*get_flat_params(route.dependant), *([route.body_field] if route.body_field else [])]
        for field in fields:
            info = field.field_info
            for name, kind in texts(info.annotation, tuple(info.metadata), field.alias):
                found[f"{route_name} {name}"] = kind
    return found


TEXTS: Final = request_texts()


def test_the_walk_finds_the_texts() -> None:
    assert len(TEXTS) > 40
    for known in (
        "POST /auth/login email",
        "GET /products tags",
        "POST /events user_id",
        "POST /admin/dead-letters/replay message_ids",
        "POST /products description",
    ):
        assert known in TEXTS


@pytest.mark.parametrize("place", TEXTS)
def test_a_text_of_a_request_refuses_control_characters(place: str) -> None:
    name = place.rpartition(" ")[2]
    if name in HASHED | CHECKED | JSON or place in TRANSLATED:
        return
    for text in FORMS:
        with pytest.raises(ValidationError):
            TypeAdapter(TEXTS[place]).validate_python(text)


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b", "\u200b", "\u202e", "\u2028", "\ufeff"])
def test_an_email_has_no_invisible_characters(character: str) -> None:
    account = {"username": "ada", "password": "a plum in the rain"}
    with pytest.raises(ValidationError, match="must be an email address"):
        AccountRegistration.model_validate(account | {"email": f"x{character}y@example.com"})
    assert AccountRegistration.model_validate(account | {"email": "xäy@example.com"}).email == "xäy@example.com"


def test_a_login_refuses_control_characters() -> None:
    with pytest.raises(ValidationError, match="control characters"):
        LoginRequest.model_validate({"email": "a\0b@example.com", "password": "x"})


@pytest.mark.parametrize("field", ["starts_at", "ends_at"])
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("9999-12-31T23:59:59-23:59", None),
        ("9999-12-31T23:59:59-00:01", None),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00+00:01", None),
        ("0001-01-01T00:01:00+00:01", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_rule_s_period_has_a_place_in_the_calendar(field: str, text: str, stored: datetime | None) -> None:
    rule = {"kind": "exclude", "tag": "a", field: text}
    if stored is None:
        with pytest.raises(ValidationError, match="years 1 to 9999"):
            RuleWrite.model_validate(rule)
    else:
        assert getattr(RuleWrite.model_validate(rule), field) == stored


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_an_event_s_time_has_a_place_in_the_calendar(text: str) -> None:
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        Event.model_validate({"user_id": "u", "product_id": 1, "event_type": "view", "timestamp": text})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timestamp": 1_700_000_000}, "timestamp"),
        ({"timestamp": "1700000000000"}, "timestamp"),
        ({"product_id": None}, "product_id"),
        ({"product_id": None, "event_type": "purchase"}, "product_id"),
    ],
)
def test_an_event_s_error_names_its_field(change: dict[str, Any], field: str) -> None:
    event = {"user_id": "u", "product_id": 1, "event_type": "view"} | change
    with pytest.raises(ValidationError) as refused:
        Event.model_validate({name: value for name, value in event.items() if value is not None})
    assert [error["field"] for error in field_errors(refused.value)] == [field]
    assert Event.model_validate({"user_id": "u", "event_type": "search"}).product_id is None
