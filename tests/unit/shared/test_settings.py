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


MAIL = {"MAIL_URL": "smtps://shop@mail.example:465", "MAIL_FROM": "Shop <shop@example.com>", "MAIL_PASSWORD": "s3cret"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"MAIL_FROM": ""}, "MAIL_FROM"),
        ({"MAIL_FROM": "shop"}, "MAIL_FROM"),
        ({"MAIL_FROM": "a\r\nBcc: b@example.com"}, "MAIL_FROM"),
        ({"MAIL_PASSWORD": ""}, "MAIL_PASSWORD"),
        ({"MAIL_URL": "https://api.mail.example/emails", "MAIL_PASSWORD": ""}, "MAIL_PASSWORD"),
        ({"MAIL_URL": "smtps://shop:s3cret@mail.example"}, "MAIL_URL"),
        ({"MAIL_URL": "ftp://mail.example"}, "MAIL_URL"),
        ({"MAIL_URL": "file:///tmp", "ENVIRONMENT": "dev"}, "MAIL_URL"),
        ({"MAIL_URL": "console:", "ENVIRONMENT": "prod"}, "MAIL_URL"),
        ({"MAIL_URL": "http://mail.example/", "ENVIRONMENT": "prod"}, "MAIL_URL"),
    ],
)
def test_mail_that_cannot_be_sent_safely_is_refused(changed: dict[str, str], named: str) -> None:
    with pytest.raises(MissingSetting, match=f"The environment variable {named}") as refused:
        read(MAIL | changed)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"ENVIRONMENT": "prod"},
        {"MAIL_URL": "smtp://localhost", "MAIL_PASSWORD": ""},
        {"MAIL_URL": "https://api.mail.example/emails", "ENVIRONMENT": "dev"},
        {"MAIL_URL": "file:///var/mail", "MAIL_PASSWORD": ""},
        {"MAIL_URL": "console:", "MAIL_PASSWORD": ""},
        {"MAIL_URL": "", "MAIL_FROM": "", "MAIL_PASSWORD": ""},
    ],
)
def test_mail_that_can_be_sent_is_accepted(changed: dict[str, str]) -> None:
    assert read(MAIL | changed).mail_url == ((MAIL | changed)["MAIL_URL"] or None)


@pytest.mark.parametrize(
    "url", ["shop.example", "ftp://shop.example", "https://shop.example?a", "https://u:p@shop.example"]
)
def test_a_public_url_that_links_cannot_begin_with_is_refused(url: str) -> None:
    with pytest.raises(MissingSetting, match="PUBLIC_URL"):
        read({"PUBLIC_URL": url})


def test_a_public_url_has_no_slash_at_its_end() -> None:
    assert read({"PUBLIC_URL": "https://shop.example/api/"}).public_url == "https://shop.example/api"
