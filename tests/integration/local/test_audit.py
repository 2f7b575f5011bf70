"""`./aisle audit` finds what was planted, names the file and the remedy on one line, and passes this repository."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local import audit
from local.errors import CommandError
from local.places import ROOT
from local.processes import free_port

# put together here, so that this file is not a finding itself
CLOUD_KEY = "AKIA" + "Q3EGZP7WJXKD5TNB"
VULNERABLE = ("jinja2", "2.10")


class Osv(ThreadingHTTPServer):
    """Answers like https://google.github.io/osv.dev/post-v1-query/, with one vulnerable package."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OsvHandler)
        self.queries: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1/query"


class OsvHandler(BaseHTTPRequestHandler):
    server: Osv
    protocol_version = "HTTP/1.1"
    # without it each answer on a kept connection waits 40 ms for an acknowledgement
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, version = query["package"]["name"], query["version"]
        self.server.queries.append((name, version))
        answer = {}
        if (name, version) == VULNERABLE:
            package = {"name": name, "ecosystem": "PyPI"}
            ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}]
            affected = [{"package": package, "ranges": ranges}]
            answer = {"vulns": [{"id": "PYSEC-2019-217", "summary": "Escape of the sandbox", "affected": affected}]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def osv() -> Iterator[Osv]:
    server = Osv()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A repository whose command line is this one's, with three faults and what stands beside each."""
    root = tmp_path / "shop"
    shutil.copytree(
        ROOT / "local", root / "local", ignore=shutil.ignore_patterns("__pycache__", "data", "requirements.txt")
    )
    shutil.copy(ROOT / "pyproject.toml", root)
    for name in ("functions", "jobs", "shared", "delivery", "clients", "docs"):
        (root / name).mkdir()
    (root / "main.py").write_text("")
    (root / "jobs/requirements.txt").write_text(f"{'=='.join(VULNERABLE)} \\\n    --hash=sha256:{'0' * 64}\n")
    (root / "requirements.txt").write_text("jinja2==2.10.1 ; python_full_version >= '3.12' \\\n")
    (root / "shared/shell.py").write_text(
        "import subprocess\n\n\ndef run(name: str) -> None:\n    subprocess.run(f'echo {name}', shell=True)\n"
    )
    (root / "docs/notes.txt").write_text(f"A note.\n\n    key = {CLOUD_KEY}\n")
    return root


def run(root: Path, *parts: str, osv_url: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(root), "AISLE_OSV_URL": osv_url}
    command = [sys.executable, "-P", "-m", "local", "audit", *parts]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_planted_faults_are_one_line_each_with_file_and_remedy(planted: Path, osv: Osv) -> None:
    process = run(planted, osv_url=osv.url)
    assert process.returncode == 1, process.stdout + process.stderr
    lines = [line for line in process.stdout.splitlines() if not line.startswith(("==", "Findings"))]
    assert len(lines) == 3, process.stdout
    code, secret, pin = lines
    assert code.startswith("shared/shell.py:5: B602: ")
    assert "Change the code (" in code
    assert secret == (
        "docs/notes.txt:3: AWS Access Key: This looks like a secret. Revoke it and move it to Secret Manager, or give "
        "the reason in pyproject.toml."
    )
    assert pin == (
        "jobs/requirements.txt: PYSEC-2019-217: jinja2 2.10 has a known vulnerability, fixed in 2.10.1. Raise it in "
        "pyproject.toml and run ./aisle lock --upgrade."
    )
    # the key is in no output and went nowhere
    assert CLOUD_KEY not in process.stdout + process.stderr
    # the version beside it, for other Pythons, was asked about and is no finding
    assert sorted(osv.queries) == [("jinja2", "2.10"), ("jinja2", "2.10.1")]


def test_this_repository_passes_and_every_pin_was_asked_about(osv: Osv) -> None:
    process = run(ROOT, osv_url=osv.url)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.splitlines()[-1] == "Nothing found."
    assert sorted(osv.queries) == sorted(audit.pins())
    assert len(osv.queries) > 150


def test_a_database_that_cannot_be_reached_is_exit_code_3_and_one_line() -> None:
    process = run(ROOT, "vulnerabilities", osv_url=f"http://127.0.0.1:{free_port()}/")
    assert process.returncode == 3, process.stdout + process.stderr
    heading, reason, end = process.stdout.splitlines()
    assert heading == "== vulnerabilities"
    assert reason.startswith("The vulnerabilities of the pinned packages are unknown, because the database did not")
    assert reason.endswith("Run ./aisle audit vulnerabilities where it can be reached.")
    assert end == "Nothing found, but not everything was audited."


def test_an_accepted_finding_is_accepted_in_its_place_only(planted: Path) -> None:
    # a statement put together from variables stands in shared/storage and nowhere else
    statement = 'def read(name: str) -> str:\n    return f"SELECT * FROM {name} WHERE 1 = 1"\n'
    (planted / "shared/shell.py").unlink()
    for folder in ("shared/storage", "shared/http"):
        (planted / folder).mkdir()
        (planted / folder / "rows.py").write_text(statement)
    process = run(planted, "code", osv_url="")
    assert process.returncode == 1, process.stdout + process.stderr
    findings = process.stdout.splitlines()[1:-1]
    assert [line.partition(": ")[0] for line in findings] == ["shared/http/rows.py:2"]


def test_an_accepted_finding_needs_its_reason(planted: Path) -> None:
    settings = planted / "pyproject.toml"
    settings.write_text('[[tool.aisle.accepted]]\ncheck = "B602"\npath = ""\nreason = " "\n')
    with pytest.raises(CommandError, match="needs check, path and reason"):
        audit.accepted(planted)


def test_nothing_is_accepted_that_is_no_longer_found() -> None:
    findings = [*audit.unsafe_code(), *audit.secrets()]
    assert [row for row in audit.accepted() if not any(row.covers(finding) for finding in findings)] == []


def test_an_unknown_part_is_refused() -> None:
    process = run(ROOT, "everything", osv_url="")
    assert process.returncode == 2
    assert process.stderr == (
        "aisle: Unknown part 'everything' of the audit. The parts are code, secrets, vulnerabilities.\n"
    )
