"""Each way to send a message, against a server; passwords and messages never travel in the open."""

import base64
import socket
import ssl
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from shared.errors import MailFailed
from shared.mail import Mail, deliver
from tests.integration.cloud_sql_server import Authority, pem
from tests.integration.conftest import settings_of
from tests.integration.mail.servers import MailApi, MailServer

MAIL = Mail("ada@example.com", "A plüm", "Open https://shop.example/auth/set-password?token=" + "t" * 87 + "\n")
SETTINGS = {"MAIL_FROM": "Shop <shop@example.com>", "MAIL_PASSWORD": "s3cret-of-the-server"}
CREDENTIALS = base64.b64encode(b"\0shop\0s3cret-of-the-server").decode()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A certificate authority that this process trusts."""
    made = Authority(tmp_path)
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(pem(made.certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return made


def context_of(authority: Authority, address: str) -> ssl.SSLContext:
    """Return the TLS of a server with a certificate for this address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.write("mail", ip_address(address)))
    return context


def verbs(server: MailServer) -> list[str]:
    return [line.split(" ")[0].upper() for line, _encrypted in server.commands]


def test_a_message_goes_through_a_server_on_this_machine() -> None:
    with MailServer() as server, settings_of(SETTINGS | {"MAIL_URL": f"smtp://shop@127.0.0.1:{server.port}"}):
        deliver(MAIL)
    (message,) = server.messages
    assert "To: ada@example.com\r\n" in message
    assert "From: Shop <shop@example.com>\r\n" in message
    assert "@example.com>" in message.partition("Message-ID:")[2]
    assert ("rcpt TO:<ada@example.com>", False) in server.commands
    assert any(CREDENTIALS in line for line, _encrypted in server.commands)


def test_a_domain_travels_in_ascii() -> None:
    with MailServer() as server, settings_of(SETTINGS | {"MAIL_URL": f"smtp://shop@127.0.0.1:{server.port}"}):
        deliver(Mail("ada@münchen.de", "A plüm", "Text"))
    assert ("rcpt TO:<ada@xn--mnchen-3ya.de>", False) in server.commands


def test_a_domain_that_idna_forbids_gets_no_message_and_is_not_named() -> None:
    settings = settings_of(SETTINGS | {"MAIL_URL": "console:"})
    with settings, pytest.raises(MailFailed) as failed:
        deliver(Mail("ada@-mün-.de", "A plüm", "Text"))
    assert "mün" not in str(failed.value.detail)


def test_a_server_elsewhere_gets_password_and_message_by_tls_alone() -> None:
    # 127.0.0.2 is another host by name
    with (
        MailServer("127.0.0.2") as server,
        settings_of(SETTINGS | {"MAIL_URL": f"smtp://shop@127.0.0.2:{server.port}"}),
        pytest.raises(MailFailed) as failed,
    ):
        deliver(MAIL)
    assert "ada" not in str(failed.value)
    assert server.messages == []
    assert "AUTH" not in verbs(server)


@pytest.mark.parametrize(("scheme", "implicit"), [("smtp", False), ("smtps", True)])
def test_a_server_elsewhere_is_used_by_tls(authority: Authority, scheme: str, implicit: bool) -> None:
    with (
        MailServer("127.0.0.2", context_of(authority, "127.0.0.2"), implicit_tls=implicit) as server,
        settings_of(SETTINGS | {"MAIL_URL": f"{scheme}://shop@127.0.0.2:{server.port}"}),
    ):
        deliver(MAIL)
    assert len(server.messages) == 1
    assert [line for line, encrypted in server.commands if not encrypted and line.startswith(("AUTH", "rcpt"))] == []
    assert any(CREDENTIALS in line for line, _encrypted in server.commands)


@pytest.mark.parametrize(("scheme", "implicit"), [("smtp", False), ("smtps", True)])
def test_a_certificate_that_is_not_the_host_s_is_refused_before_the_password(
    authority: Authority, scheme: str, implicit: bool
) -> None:
    context = context_of(authority, "127.0.0.3")
    with (
        MailServer("127.0.0.2", context, implicit_tls=implicit) as server,
        settings_of(SETTINGS | {"MAIL_URL": f"{scheme}://shop@127.0.0.2:{server.port}"}),
        pytest.raises(MailFailed, match="SSLCertVerificationError"),
    ):
        deliver(MAIL)
    assert server.messages == []
    assert "AUTH" not in verbs(server)


def test_a_refusal_is_said_without_the_address() -> None:
    refuse = "550 ada@example.com is unknown"
    with (
        MailServer(refuse=refuse) as server,
        settings_of(SETTINGS | {"MAIL_URL": f"smtp://127.0.0.1:{server.port}"}),
        pytest.raises(MailFailed) as failed,
    ):
        deliver(MAIL)
    assert "ada" not in str(failed.value)


def test_a_server_that_does_not_answer_is_given_up() -> None:
    begun = time.monotonic()
    # bound, so that no other test gets the port, but not listening
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"smtp://127.0.0.1:{closed.getsockname()[1]}"
        with (
            settings_of(SETTINGS | {"MAIL_URL": address, "MAIL_TIMEOUT_S": "0.5"}),
            pytest.raises(MailFailed, match="could not be used"),
        ):
            deliver(MAIL)
    assert time.monotonic() - begun < 5


def test_a_provider_gets_the_message_and_its_key() -> None:
    with MailApi() as api, settings_of(SETTINGS | {"MAIL_URL": f"http://127.0.0.1:{api.server_port}/v1/emails?x=y"}):
        deliver(MAIL)
    ((path, headers, body),) = api.requests
    assert path == "/v1/emails?x=y"
    assert headers["Authorization"] == "Bearer s3cret-of-the-server"
    assert body == {
        "from": "Shop <shop@example.com>",
        "to": ["ada@example.com"],
        "subject": MAIL.subject,
        "text": MAIL.text,
    }


@pytest.mark.parametrize("status", [307, 302, 401, 500])
def test_a_provider_s_refusal_or_redirect_is_a_failure_and_followed_nowhere(status: int) -> None:
    with (
        MailApi(status) as api,
        settings_of(SETTINGS | {"MAIL_URL": f"http://127.0.0.1:{api.server_port}/v1/emails"}),
        pytest.raises(MailFailed, match=str(status)),
    ):
        deliver(MAIL)
    assert len(api.requests) == 1


def test_an_address_that_breaks_a_header_sends_nothing() -> None:
    with MailServer() as server, settings_of(SETTINGS | {"MAIL_URL": f"smtp://127.0.0.1:{server.port}"}):
        with pytest.raises(MailFailed) as failed:
            deliver(Mail("ada@example.com\r\nBcc: eve@example.com", "A plum", "text"))
        assert "eve" not in str(failed.value)
        assert server.messages == []
        # a comma makes no second recipient
        deliver(Mail("ada@example.com, eve@example.com", "A plum", "text"))
    assert [line for line, _encrypted in server.commands if line.startswith("rcpt")] == [
        'rcpt TO:<"ada@example.com, eve"@example.com>'
    ]


def test_files_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.mail.files.KEPT_FILES", 3)
    folder = tmp_path / "a folder"
    with settings_of(SETTINGS | {"MAIL_URL": f"file://{str(folder).replace(' ', '%20')}"}):
        for number in range(5):
            deliver(Mail("ada@example.com", f"Plum {number}", "text"))
    subjects = [file.read_text().partition("Subject: ")[2].partition("\n")[0] for file in sorted(folder.iterdir())]
    assert subjects == ["Plum 2", "Plum 3", "Plum 4"]


def test_the_console_prints_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    with settings_of(SETTINGS | {"MAIL_URL": "console:"}):
        deliver(Mail("ada@example.com", "A plum", "Open this.\n"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "To: ada@example.com" in captured.err
    assert "Open this." in captured.err
