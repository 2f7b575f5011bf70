"""The commands of a delivery: the order of a deployment, migrations, the smoke test, and the rollback."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from delivery import identity, pins, private_jobs, smoke
from local.apps import create
from local.gateway import gateway
from local.places import ROOT
from shared.manifest import manifest
from tests.integration.conftest import Serve, Server
from tests.integration.delivery.servers import WsgiServer

# stands for Terraform: records its arguments, and answers `output -json` with what is deployed
TERRAFORM = """#!/bin/sh
echo "$*" >> "$HERE/calls"
case "$*" in
*"output"*) cat "$HERE/outputs.json" ;;
*"-var-file="*rollback*) touch "$HERE/rolled-back" ;;
esac
exit 0
"""


@pytest.fixture
def shop(module_env: object) -> Iterator[str]:
    """The HTTP functions behind one address."""
    with Server(gateway(manifest(), create)) as server:
        yield server.url


def test_a_working_system_passes_the_smoke_test(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke.main(["--url", shop]) == 0
    assert capsys.readouterr().out.count("ok ") == len(smoke.CHECKS)


def test_a_server_that_does_not_answer_fails_the_smoke_test(capsys: pytest.CaptureFixture[str]) -> None:
    faults = smoke.smoke("http://127.0.0.1:1", pause_s=0)
    assert "refused" in faults[0]


def test_every_path_of_the_smoke_test_is_deployed() -> None:
    paths = {"/" + check.path.lstrip("/").partition("?")[0].partition("/")[0] for check in smoke.CHECKS}
    assert paths <= set(manifest().paths)


def test_migrate_is_called_until_it_answers(env: dict[str, str], serve: Serve) -> None:
    with WsgiServer(create("migrate")) as url:
        answer = private_jobs.call(url, "", {}, pause_s=0)
    assert answer["applied"] == []


def test_migrate_that_refuses_is_not_called_again(env: dict[str, str]) -> None:
    broken = WsgiServer(lambda _environ, start: (start("500 Broken", []), [b"no"])[1])
    with broken as url, pytest.raises(RuntimeError, match="500: no"):
        private_jobs.call(url, "", {}, pause_s=0)


def test_what_is_deployed_becomes_what_a_rollback_pins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({"sources": {"value": {"products": "products/1.zip"}}}))
    assert pins.main([str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {"pinned_sources": {"products": "products/1.zip"}}


def test_an_empty_project_has_nothing_to_pin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "outputs.json"
    file.write_text("{}")
    assert pins.main([str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {"pinned_sources": {}}


def test_a_build_without_identity_tokens_signs_one_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []

    def metadata(environ: dict, start: Callable) -> list[bytes]:
        path = environ["PATH_INFO"]
        paths.append(path)
        if path.endswith("/identity"):
            start("404 Not Found", [])
            return [b""]
        start("200 OK", [])
        if path.endswith(":generateIdToken"):
            body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            assert environ["HTTP_AUTHORIZATION"] == "Bearer an-access-token"
            return [json.dumps({"token": f"signed for {body['audience']}"}).encode()]
        return [b"build@example.com" if path.endswith("/email") else b'{"access_token": "an-access-token"}']

    with WsgiServer(metadata) as url:
        monkeypatch.setattr(identity, "METADATA", f"{url}/metadata")
        monkeypatch.setattr(identity, "CREDENTIALS", f"{url}/accounts")
        assert identity.token("https://migrate.example") == "signed for https://migrate.example"
    assert paths[-1] == "/accounts/build@example.com:generateIdToken"


class Delivery:
    """`delivery/deploy.sh` on a copy of the scripts, with a stand-in for Terraform and gcloud."""

    def __init__(self, home: Path, url: str, migrate_url: str) -> None:
        self.home = home
        (home / "delivery").mkdir()
        (home / "terraform").mkdir()
        for file in (ROOT / "delivery").iterdir():
            if file.is_file():
                (home / "delivery" / file.name).write_bytes(file.read_bytes())
                (home / "delivery" / file.name).chmod(file.stat().st_mode)
        outputs = {"urls": {"migrate": migrate_url}, "url": url, "sources": {"products": "products/old.zip"}}
        (home / "outputs.json").write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
        for name, text in {"terraform-stub": TERRAFORM, "gcloud": "#!/bin/sh\necho a-token\n"}.items():
            (home / name).write_text(text)
            (home / name).chmod(stat.S_IRWXU)

    def run(self) -> subprocess.CompletedProcess[str]:
        import sys

        environment = os.environ | {
            "HERE": str(self.home),
            "TERRAFORM": str(self.home / "terraform-stub"),
            "STATE_BUCKET": "state",
            "ENVIRONMENT": "dev",
            "TF_VAR_project_id": "shop-test-123",
            "PYTHON": sys.executable,
            "PATH": f"{self.home}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.home),
        }
        return subprocess.run(
            [self.home / "delivery/deploy.sh"],
            env=environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def order(self) -> list[str]:
        """The steps that Terraform ran, in order: prepare, subscribers, plan, apply, back."""
        steps = []
        for line in (self.home / "calls").read_text().splitlines():
            if "-target=" in line:
                steps.append("prepare" if '"migrate"' in line else "subscribers")
            elif "rollback.tfvars.json" in line:
                steps.append("back")
            elif " plan " in line:
                steps.append("plan")
            elif " apply " in line:
                steps.append("apply")
        return steps


def test_a_delivery_migrates_before_it_rolls_out(shop: str, tmp_path: Path) -> None:
    with WsgiServer(create("migrate")) as url:
        delivery = Delivery(tmp_path, shop, url)
        process = delivery.run()
    assert process.returncode == 0, process.stdout + process.stderr
    assert delivery.order() == ["prepare", "subscribers", "plan", "apply"]
    subscribers = re.findall(r'-target=module\.function\["(\w+)"\]', (tmp_path / "calls").read_text())[1:]
    assert sorted(subscribers) == sorted(entry.name for entry in manifest().of_kind("event"))
    assert process.stdout.index("Migrations") < process.stdout.index("Roll out") < process.stdout.index("Smoke test")


def test_a_delivery_that_answers_wrongly_goes_back_to_what_was_served(shop: str, tmp_path: Path) -> None:
    with WsgiServer(create("migrate")) as url:
        delivery = Delivery(tmp_path, f"{shop}/nowhere", url)
        process = delivery.run()
    assert process.returncode == 1
    assert delivery.order() == ["prepare", "subscribers", "plan", "apply", "back"]
    pinned = json.loads((tmp_path / "build/rollback.tfvars.json").read_text())
    assert pinned == {"pinned_sources": {"products": "products/old.zip"}}


def test_a_delivery_whose_migration_fails_changes_no_function(shop: str, tmp_path: Path) -> None:
    with WsgiServer(lambda _environ, start: (start("500 Broken", []), [b"no"])[1]) as url:
        delivery = Delivery(tmp_path, shop, url)
        process = delivery.run()
    assert process.returncode == 1
    assert delivery.order() == ["prepare"]
