"""No input makes a parser fail otherwise than it says: each gets a bounded number of made-up inputs in every run.

Parsers of files have tests of their own: tests/unit/tables, tests/unit/data.
"""

import asyncio
import contextlib
import gzip
from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest
from cloudevents.http import CloudEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from functions.accounts.schemas import AccountRegistration, LoginRequest, ProfileChange
from functions.admin.schemas.rules import RuleWrite
from functions.cart.schemas import CheckoutRequest
from functions.products.imports import unpack
from functions.products.schemas.catalog import ProductQuery
from functions.recommendations.recommendations import user_id_in
from functions.recommendations.schemas.recommendations import RecommendationsQuery
from local.pubsub.filters import FilterError, parse_filter
from shared import auth, logs, messages, tokens
from shared import settings as settings_module
from shared.domain import spelling
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.domain.events import Event, event_key, quantity_of
from shared.errors import AppError, InvalidRequest, InvalidToken, MissingSetting
from shared.event_publishing import prepare
from shared.http import bodies
from shared.http.answers import matches
from shared.http.edge import TRACKING, Edge
from shared.http.parameters import ids_in
from shared.http.scopes import check_query
from shared.tables.columns import PRODUCT_COLUMNS, parse_columns
from shared.tables.csv_files import text_options
from shared.tables.times import parse_zone
from shared.tables.values import find_decimals, id_text, number_text, parse_event_types, whole_number
from shared.validation import validation_problem
from tests.examples import examples

BOUNDED: Final = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
# of JSON only: models refuse lone surrogates, and other texts come from decoded bytes, which have none
SURROGATES: Final = st.text("\ud800a", max_size=3)
# text with the characters that parsers trip over
TEXT: Final = st.text(max_size=60) | st.text("\0\x07\u200b\u202eaZ09@.,:;=&%+-_/\\\"'{}[]<> \t\n", max_size=40)
TIMES: Final = st.sampled_from(
    ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "1", "NaN", "2026-01-01"]
)
SCALARS: Final = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | TIMES | SURROGATES
JSON: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
MODELS: Final = (
    Event,
    ProductWrite,
    ProductPatch,
    ProductQuery,
    RecommendationsQuery,
    RuleWrite,
    AccountRegistration,
    LoginRequest,
    ProfileChange,
    CheckoutRequest,
)
TEXT_PARSERS: Final[dict[str, tuple[Callable[[str], Any], tuple[type[Exception], ...]]]] = {
    "token": (tokens.verify, (InvalidToken,)),
    "bearer": (auth.bearer, ()),
    "ids": (lambda text: ids_in(text, 10), (ValueError,)),
    "columns": (lambda text: parse_columns(text, PRODUCT_COLUMNS), (InvalidRequest,)),
    "text options": (lambda text: text_options(text, text, text), (InvalidRequest,)),
    "zone": (parse_zone, (InvalidRequest,)),
    "event types": (parse_event_types, (InvalidRequest,)),
    "id": (id_text, ()),
    "number": (lambda text: (number_text(text, "."), number_text(text, ","), number_text(text, None)), ()),
    "whole number": (lambda text: whole_number(text, "."), ()),
    "decimals": (lambda text: find_decimals({"price": [text, text[::-1]]}), ()),
    "correction": (lambda text: spelling.correction("x" + text[:20], [("candle", 3), ("x" + text[::-1][:20], 1)]), ()),
    "trace": (logs.trace_fields, ()),
    "event key": (event_key, ()),
    "entity tag": (lambda text: matches(text, 'W/"1"'), ()),
    "filter": (parse_filter, (FilterError,)),
    "settings": (
        lambda text: settings_module.read(
            dict.fromkeys(("TOKEN_KEYS", "CORS_ORIGINS", "CORS_HEADERS", "RATE_LIMIT_PER_MINUTE"), text)
        ),
        (MissingSetting,),
    ),
}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_refuses_or_takes_any_fields(model: type[Any]) -> None:
    names = st.sampled_from([*model.model_fields, "unknown"])

    @BOUNDED
    @given(st.dictionaries(names, JSON, max_size=len(model.model_fields)) | JSON)
    def run(fields: Any) -> None:
        try:
            value = TypeAdapter(model).validate_python(fields)
        except ValidationError as error:
            problem = validation_problem(error).problem()
            assert problem["status"] == 422
            assert 1 <= len(problem["errors"]) <= 20
            return
        if isinstance(value, Event):
            orjson.dumps(prepare(value))
            assert quantity_of(value) >= 1

    run()


@pytest.mark.parametrize("name", TEXT_PARSERS)
def test_a_parser_of_text_raises_only_what_it_says(name: str) -> None:
    parse, refusals = TEXT_PARSERS[name]

    @BOUNDED
    @given(TEXT)
    def run(text: str) -> None:
        with contextlib.suppress(*refusals):
            parse(text)

    run()


@BOUNDED
@given(JSON, TEXT)
def test_a_message_is_read_or_unreadable(event: Any, schema: str) -> None:
    for data in (event, {"message": event}, {"message": {"data": event, "attributes": {"schema": schema}}}):
        with contextlib.suppress(messages.UnreadableMessage):
            messages.read(CloudEvent({"type": "t", "source": "s"}, data), "user-events/1")


@BOUNDED
@given(st.binary(max_size=200), st.booleans())
def test_bytes_of_a_body(body: bytes, packed: bool) -> None:
    with contextlib.suppress(AppError):
        bodies.check_json(body)
    with contextlib.suppress(AppError):
        assert unpack(gzip.compress(body)[: -4 if packed else None]) == body
    with contextlib.suppress(AppError):
        unpack(body)


@BOUNDED
@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=40), max_leaves=60))
def test_a_value_is_bounded_or_refused(value: Any) -> None:
    with contextlib.suppress(InvalidRequest):
        bodies.check_values(value, 30)


@BOUNDED
@given(st.binary(max_size=80), st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=30)), max_size=6))
def test_a_query_and_headers_at_the_edge(query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    names = (b"x-request-id", b"x-forwarded-for", b"authorization", b"traceparent", b"content-length")
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/products",
        "query_string": query,
        "headers": [(names[index % len(names)], value) for index, (_name, value) in enumerate(headers)],
    }
    request_id, _headers, _refusal = Edge(None, "test").begin(scope)  # type: ignore[arg-type]  # it calls no application
    assert request_id.isascii()
    assert not TRACKING.search(scope["query_string"])
    with contextlib.suppress(InvalidRequest):
        check_query(scope)
    with contextlib.suppress(AppError):
        user_id_in(query)


def test_a_long_query_costs_little() -> None:
    """The expressions that run on every request take linear time."""
    import time

    begun = time.perf_counter()
    for query in (b"&" * 8_000, b"_" * 8_000, b"utm_" * 2_000, b"_=" * 4_000, b"&_" * 4_000):
        TRACKING.sub(b"", query)
    assert time.perf_counter() - begun < 1
    assert asyncio.run(bodies.check_content(b"{}")) is None
