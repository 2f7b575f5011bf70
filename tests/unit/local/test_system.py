"""Settings that the local system has because of its own address and folder."""

from pathlib import Path

from local.system import mail_settings
from shared.settings import read

URL = "http://localhost:8080"


def test_links_lead_to_the_gateway_and_mails_become_files() -> None:
    settings = mail_settings({}, URL, Path("/a folder/mail"))
    assert settings["PUBLIC_URL"] == URL
    assert settings["MAIL_URL"] == "file:///a%20folder/mail"
    assert read(settings).mail_url is not None


def test_settings_of_one_s_own_stay() -> None:
    own = {"PUBLIC_URL": "https://shop.example", "MAIL_URL": "smtp://localhost", "MAIL_FROM": "me@example.com"}
    assert mail_settings(own, URL, Path("/mail")) == {"PUBLIC_URL": "https://shop.example"}
