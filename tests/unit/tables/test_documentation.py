"""docs/import.md names every option and every usual name of a column."""

import re
from pathlib import Path

import pytest

from functions.products.imports import ImportQuery
from jobs.import_catalog import ImportCatalog
from jobs.load_events import LoadEvents
from jobs.reports.command import parser
from shared.tables.columns import EVENT_COLUMNS, PRODUCT_COLUMNS, STANDALONE_EVENT_COLUMNS, Schema
from shared.tables.values import name_key

TEXT = (Path(__file__).parents[3] / "docs" / "import.md").read_text(encoding="utf-8")
SPANS = re.findall(r"`([^`\n]+)`", TEXT)


@pytest.mark.parametrize("model", [LoadEvents, ImportCatalog, ImportQuery])
def test_every_parameter_is_documented(model: type[LoadEvents | ImportCatalog | ImportQuery]) -> None:
    assert set(model.model_fields) <= set(SPANS)


def test_every_option_of_reading_is_documented() -> None:
    [group] = [group for group in parser()._action_groups if (group.title or "").startswith("how the files")]
    options = {option for action in group._group_actions for option in action.option_strings}
    assert "--columns" in options
    assert options <= set(SPANS)


@pytest.mark.parametrize("schema", [EVENT_COLUMNS, STANDALONE_EVENT_COLUMNS, PRODUCT_COLUMNS])
def test_every_usual_name_of_a_column_is_documented(schema: Schema) -> None:
    names = {key for ranks in schema.values() for keys in ranks for key in keys.split()}
    assert names - {name_key(span) for span in SPANS} == set()
