"""What of the API the clients have, and what not."""

from local.clients.description import camel, description, one_line

DESCRIPTION = description()
OPERATIONS = {operation.name: operation for operation in DESCRIPTION.operations}


def test_every_operation_with_json_is_there_and_pages_and_other_protocols_are_not() -> None:
    assert {"get_recommendations", "record_event", "check_out", "update_product", "get_dashboard"} <= set(OPERATIONS)
    assert not {"record_segment_batch", "record_plain_event", "get_password_form", "get_training_report"} & set(
        OPERATIONS
    )


def test_an_operation_has_its_parameters_body_and_answer() -> None:
    checkout = OPERATIONS["check_out"]
    assert (checkout.method, checkout.path, checkout.takes_key) == ("POST", "/cart/checkout", True)
    assert [one.name for one in checkout.query_parameters] == ["user_id"]
    assert checkout.answer == {"$ref": "#/components/schemas/Order"}
    deleted = OPERATIONS["delete_product"]
    assert ([one.name for one in deleted.path_parameters], deleted.body, deleted.answer) == (["product_id"], None, None)
    assert OPERATIONS["import_products"].media_types[0] == "application/jsonl"


def test_only_schemas_in_use_are_there() -> None:
    assert {"Order", "OrderItem", "Event"} <= set(DESCRIPTION.schemas)
    assert "SegmentBatch" not in DESCRIPTION.schemas


def test_no_field_of_a_change_is_required_or_has_a_default() -> None:
    """A client that changes a name must not set the price."""
    changes = {name: schema for name, schema in DESCRIPTION.schemas.items() if name.endswith("Patch")}
    assert len(changes) >= 4
    for name, schema in changes.items():
        assert [field for field, one in schema["properties"].items() if "default" in one] == [], name
    assert not DESCRIPTION.schemas["ProductPatch"].get("required")


def test_names_and_texts_fit_their_language() -> None:
    assert (camel("get_cart"), camel("list_buy_again")) == ("getCart", "listBuyAgain")
    assert one_line('a """b"""\n c */ d\\') == "a '''b''' c * / d\\\\"
