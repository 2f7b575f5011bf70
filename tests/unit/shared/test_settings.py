"""Settings: defaults, parsing, errors that name the setting, and documentation."""

import re
from pathlib import Path

import pytest

from shared.errors import MissingSetting
from shared.settings import Settings, read

DOCUMENT = Path(__file__).parents[3] / "docs/settings.md"
ROW = re.compile(r"^\| `(\w+)` \| (?:`([^`]*)`|—) \|", re.MULTILINE)


def test_settings_that_do_not_differ_between_environments_have_defaults() -> None:
    assert read({}).profile_events == 50
    assert read({"CORS_ORIGINS": ""}).cors_origins == ("*",)


def test_origins_are_separated_by_commas() -> None:
    assert read({"CORS_ORIGINS": "https://a.example, https://b.example"}).cors_origins == (
        "https://a.example",
        "https://b.example",
    )


def test_the_error_of_a_missing_setting_names_and_describes_it() -> None:
    with pytest.raises(MissingSetting, match=r"DATABASE_URL.*postgresql"):
        read({}).require("database_url")


def test_the_error_of_a_wrong_setting_names_it() -> None:
    with pytest.raises(MissingSetting, match="DATABASE_POOL_SIZE"):
        read({"DATABASE_POOL_SIZE": "many"})


def test_a_short_admin_token_is_rejected_and_not_printed() -> None:
    with pytest.raises(MissingSetting, match="16 characters") as caught:
        read({"ADMIN_TOKEN": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_printed() -> None:
    assert "s3cret" not in repr(
        read({"DATABASE_URL": "postgresql+pg8000://u:s3cret@h/d", "REDIS_URL": "redis://:s3cret@h"})
    )


def documented() -> dict[str, str]:
    """Return each documented setting's default as it is written; an empty string stands for none."""
    settings_part = DOCUMENT.read_text().partition("## The local system")[0]
    rows = ROW.findall(settings_part)
    assert len(rows) == len(dict(rows)), "a setting has two rows"
    return dict(rows)


def test_every_setting_is_documented_with_its_default() -> None:
    def written(default: object) -> str:
        return ",".join(default) if isinstance(default, tuple) else "" if default is None else str(default)

    expected = {name.upper(): written(field.default) for name, field in Settings.model_fields.items()}
    assert documented() == expected
