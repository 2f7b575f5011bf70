"""`./aisle audit`: known vulnerabilities of the pinned packages, unsafe code, and secrets in the source tree.

pip-audit asks the OSV database, bandit reads what is deployed and what deploys it, and detect-secrets reads every text
file of the repository. A finding that stands has its reason in pyproject.toml, in the table ``tool.aisle.accepted``.

Exit codes: 0 without a finding, 1 with findings, 3 without a finding if the OSV database could not be reached.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.errors import CommandError, Refused
from local.places import ROOT

OSV: Final = "https://api.osv.dev/v1/query"
LOCKS: Final = ("requirements.txt", "jobs/requirements.txt", "local/requirements.txt", "dev-requirements.txt")
CODE: Final = ("main.py", "functions", "jobs", "shared", "local", "delivery", "clients")
TREES: Final = (
    "functions",
    "jobs",
    "shared",
    "local",
    "delivery",
    "benchmarks",
    "clients",
    "web",
    "tests",
    "terraform",
    "docs",
    ".ci",
)
# folders of what tools write and install
INSTALLED: Final = frozenset({"__pycache__", "node_modules"})
# data and archives are binary; a file without a suffix is a script, or a licence
BINARY: Final = frozenset({".parquet", ".gz", ".zip", ".png", ".ico", ".pyc", ".woff2"})
PIN: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
UNREACHABLE: Final = 3


class DatabaseUnreachable(Exception):
    """The database of vulnerabilities did not answer; the message says why."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something to mend: where, which check, what, and the remedy."""

    path: str
    line: int
    check: str
    text: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.check}: {self.text} {self.remedy}"


@dataclass(frozen=True)
class Accepted:
    """A finding that stands, from ``tool.aisle.accepted`` in pyproject.toml."""

    check: str
    path: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Return whether the finding is this one; a path that ends with a slash, or an empty one, is a folder."""
        if finding.check != self.check:
            return False
        if self.path == "" or self.path.endswith("/"):
            return finding.path.startswith(self.path)
        return finding.path == self.path


def accepted(root: Path = ROOT) -> list[Accepted]:
    """Return the findings that stand. Raises CommandError if an entry lacks its reason."""
    rows = tomllib.loads((root / "pyproject.toml").read_text()).get("tool", {}).get("aisle", {}).get("accepted", [])
    for row in rows:
        if set(row) != {"check", "path", "reason"} or not row["reason"].strip():
            raise CommandError(
                f"pyproject.toml: the entry {row} of tool.aisle.accepted needs check, path and reason. Complete it."
            )
    return [Accepted(**row) for row in rows]


def run_module(name: str, arguments: Sequence[str], root: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in the repository's folder. Settings of pip and uv do not reach it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    command = [sys.executable, "-P", "-m", name, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def unsafe_code(root: Path = ROOT) -> Iterator[Finding]:
    """Yield what bandit finds. Raises CommandError if it cannot read a file."""
    process = run_module("bandit", ["--quiet", "--format", "json", "--ignore-nosec", "--recursive", *CODE], root)
    try:
        report = json.loads(process.stdout)
    except ValueError:
        raise CommandError(f"bandit failed: {last_line(process.stderr)}. Run ./aisle audit code again.") from None
    if report["errors"]:
        error = report["errors"][0]
        raise CommandError(f"bandit cannot read {error['filename']}: {error['reason']}. Fix the file.")
    for row in report["results"]:
        yield Finding(
            row["filename"].removeprefix("./"),
            row["line_number"],
            row["test_id"],
            " ".join(row["issue_text"].split()),
            f"Change the code ({row['more_info']}), or give the reason in pyproject.toml.",
        )


def text_files(root: Path = ROOT) -> list[str]:
    """Return the paths of files that may hold a secret: no locks, which hold hashes, no hidden or installed folders."""
    files = [*root.glob("*"), *(file for tree in TREES for file in (root / tree).rglob("*"))]
    paths = []
    for file in files:
        path = file.relative_to(root)
        hidden = any(part.startswith(".") or part in INSTALLED for part in path.parts[1:-1])
        if file.is_file() and not hidden and file.suffix not in BINARY and path.as_posix() not in LOCKS:
            paths.append(path.as_posix())
    return sorted(paths)


def secrets(root: Path = ROOT) -> Iterator[Finding]:
    """Yield what detect-secrets finds. What looks like a key is never sent anywhere to be verified."""
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import default_settings

    with default_settings():
        collection = SecretsCollection(root=str(root))
        collection.scan_files(*text_files(root))
        for path, secret in collection:
            yield Finding(
                Path(path).as_posix(),
                secret.line_number,
                secret.type,
                "This looks like a secret.",
                "Revoke it and move it to Secret Manager, or give the reason in pyproject.toml.",
            )


def pins(root: Path = ROOT) -> dict[tuple[str, str], str]:
    """Return the pinned (name, version) of all locks with the first lock that has it, for every version of Python."""
    locked: dict[tuple[str, str], str] = {}
    for lock in LOCKS:
        if (root / lock).is_file():
            for name, version in PIN.findall((root / lock).read_text()):
                locked.setdefault((re.sub(r"[-_.]+", "-", name).lower(), version), lock)
    return locked


def vulnerabilities(root: Path = ROOT) -> Iterator[Finding]:
    """Yield the known vulnerabilities of all pins. Raises DatabaseUnreachable."""
    locked = pins(root)
    # pip-audit takes one version of a package at a time, and a lock has one for each version of Python
    rounds: list[dict[str, str]] = []
    for name, version in locked:
        for versions in rounds:
            if name not in versions:
                versions[name] = version
                break
        else:
            rounds.append({name: version})
    for versions in rounds:
        for package in ask_osv(versions):
            for vulnerability in package.get("vulns", []):
                key = (package["name"], package["version"])
                fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
                yield Finding(
                    locked[key],
                    0,
                    vulnerability["id"],
                    f"{key[0]} {key[1]} has a known vulnerability, fixed in {fixed}.",
                    "Raise it in pyproject.toml and run ./aisle lock --upgrade.",
                )


def ask_osv(versions: dict[str, str]) -> list[dict[str, Any]]:
    """Return pip-audit's report on exact versions. Raises DatabaseUnreachable."""
    url = os.environ.get("AISLE_OSV_URL") or OSV
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pins.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        arguments = ["--requirement", str(file), "--no-deps", "--disable-pip", "--strict", "--progress-spinner", "off"]
        arguments += ["--format", "json", "--vulnerability-service", "osv", "--osv-url", url, "--timeout", "10"]
        # a cache would hide what was published since
        process = run_module("pip_audit", [*arguments, "--cache-dir", str(Path(folder) / "cache")], Path(folder))
    try:
        report: list[dict[str, Any]] = json.loads(process.stdout)["dependencies"]
    except (ValueError, KeyError):
        raise DatabaseUnreachable(f"{url}: {last_line(process.stderr)}") from None
    return report


def last_line(text: str) -> str:
    """Return the last line that is not empty, shortened: the reason in the output of a tool."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"


PARTS: Final[dict[str, Callable[[], Iterator[Finding]]]] = {
    "code": unsafe_code,
    "secrets": secrets,
    "vulnerabilities": vulnerabilities,
}


def audit(names: Sequence[str]) -> int:
    """Run the named parts, or all; print each finding on a line; return the exit code. Raises Refused, CommandError."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise Refused(f"Unknown part {unknown[0]!r} of the audit. The parts are {', '.join(PARTS)}.")
    standing = accepted()
    unreachable = False
    total = 0
    for name in names or PARTS:
        print(f"== {name}", flush=True)
        try:
            results = [finding for finding in PARTS[name]() if not any(row.covers(finding) for row in standing)]
        except DatabaseUnreachable as error:
            unreachable = True
            print(
                "The vulnerabilities of the pinned packages are unknown, because the database did not answer "
                f"({error}). Run ./aisle audit vulnerabilities where it can be reached."
            )
            continue
        for finding in sorted(results):
            print(finding)
        total += len(results)
    if total:
        print(f"Findings: {total}")
        return 1
    print("Nothing found, but not everything was audited." if unreachable else "Nothing found.")
    return UNREACHABLE if unreachable else 0
