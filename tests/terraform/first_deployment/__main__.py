"""Walk through the page; exit with 1 if a command fails."""

import argparse
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import httpx

from local.places import ROOT
from tests.terraform.conftest import TOOL
from tests.terraform.first_deployment import cloud
from tests.terraform.first_deployment.page import PAGE, Done, Step, steps, written
from tests.terraform.first_deployment.shell import Shell

IGNORED: Final = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".aisle",
    ".terraform*",
    ".archives",
    "*.tfstate*",
    "build",
    "node_modules",
    "__pycache__",
    ".*_cache",
)
PROGRAM: Final = (
    '#!/bin/sh\nPYTHONPATH={root} exec {python} -P -m tests.terraform.first_deployment.programs {name} "$@"\n'
)
PASSWORD: Final = "four kettles on a shelf"
# variables of the machine that the commands need
OWN: Final = ("HOME", "LANG", "TF_TOOLS_VENV", "AISLE_TERRAFORM")
# what differs between two walks, and what stands for it
CHANGING: Final = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"token=[\w.%-]+"), "token=…"),
    (re.compile(r'("key"|"prefix"): ?"\w+"'), r'\1: "sk_…"'),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "…"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?"), "…"),
    (re.compile(r"\bacct_[0-9a-f]+"), "acct_…"),
    (re.compile(r'\{"id":"[0-9a-f]{12}"'), '{"id":"…"'),
    (re.compile(r" +\d+ ms\b"), "  … ms"),
    (re.compile(r'("seconds": ?)[\d.]+'), r"\1…"),
    (re.compile(r"\d+ of \d+ connections"), "… of … connections"),
    (re.compile(r"after \d+s"), "after …s"),
)


class Walk:
    """A walk in a folder of its own."""

    def __init__(self, home: Path, server_url: str) -> None:
        self.home = home
        self.server_url = server_url
        self.repository = home / "repository"
        self.answers: list[str] = []

    def prepare(self) -> None:
        """Copy the repository, and write the programs and what Terraform has to know about the stand-ins."""
        shutil.copytree(ROOT, self.repository, ignore=IGNORED)
        module = self.repository / "terraform/modules/function/stand_in_override.tf"
        known = "\n".join(f'    {name} = "{url}"' for name, url in cloud.urls().items())
        module.write_text(f'output "url" {{\n  value = {{\n{known}\n  }}[var.name]\n}}\n')
        (self.repository / "terraform/backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        (self.home / "bin").mkdir()
        for name in ("gcloud", "terraform"):
            program = self.home / "bin" / name
            program.write_text(PROGRAM.format(root=ROOT, python=sys.executable, name=name))
            program.chmod(stat.S_IRWXU)
        (self.home / "bin/python3").symlink_to(sys.executable)
        # as in a terminal
        (self.home / ".curlrc").write_text("no-progress-meter\n")

    def typed(self, command: str) -> tuple[str, str]:
        """Return what the operator types while a command runs, and how the kept page shows it."""
        answers = "\n".join(self.answers)
        inputs: tuple[tuple[str, Callable[[], str], str], ...] = (
            (r"terraform .* apply", lambda: "yes", "yes"),
            ("read -rs AISLE_PASSWORD", lambda: PASSWORD, "the password"),
            ("read -rs AISLE_API_KEY", lambda: re.findall(r'"key": ?"(sk_\w+)"', answers)[-1], "the key"),
            ("read -rs MAIL_PASSWORD", lambda: "a-password", "the password"),
        )
        for pattern, value, shown in inputs:
            if re.match(pattern, command):
                return f"{value()}\n", shown
        return "", ""

    def open_link(self, output: str) -> None:
        """Set the first admin's password at the link, as in a browser."""
        (link,) = re.findall(rf"https://{cloud.EDGE_HOST}(/\S+)\?token=(\S+)", output)
        path, token = link
        answer = httpx.post(
            f"{self.server_url}{path}",
            json={"token": token, "new_password": PASSWORD},
            headers={"Host": cloud.EDGE_HOST},
            timeout=30,
        )
        assert answer.status_code < 300, answer.text

    def run(self, shell: Shell, step: Step) -> Done:
        """Take a step and return how it ended."""
        if step.file:
            with (self.repository / step.file).open("a") as file:
                file.write(f"{step.text}\n")
            return Done(step, "", "", 0)
        text, shown = self.typed(step.text)
        output, code = shell.run(step.text, text)
        self.answers.append(output)
        if "delivery.admin" in step.text and code == 0:
            self.open_link(output)
        return Done(step, shown, self.settled(output), code)

    def settled(self, output: str) -> str:
        """Return an answer without what differs between two walks."""
        output = output.replace(f"{self.repository}/", "").replace(str(self.home), "…")
        for pattern, replacement in CHANGING:
            output = pattern.sub(replacement, output)
        return output


def walk(home: Path, report: Callable[[Done], None]) -> list[Done]:
    """Take every step of the page until one fails, and return how each ended."""
    token = secrets.token_urlsafe()
    stand_in = home / "stand-in"
    stand_in.mkdir()
    done = []
    with cloud.deployed(stand_in, token) as (reached, server):
        own = Walk(home, server.url)
        own.prepare()
        environment = {name: os.environ[name] for name in OWN if name in os.environ} | reached
        environment |= {
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "AISLE_VENV": os.environ.get("AISLE_VENV", str(ROOT / ".venv")),
            "CURL_HOME": str(home),
            "STAND_IN": str(stand_in),
            "STAND_IN_IDENTITY": token,
        }
        with Shell(home, own.repository, environment) as shell:
            for step in steps(PAGE.read_text()):
                done.append(own.run(shell, step))
                report(done[-1])
                if done[-1].code:
                    break
    return done


def print_step(done: Done) -> None:
    """Print a step in a line, and all of its answer if it failed."""
    print(f"{done.code:>3}  {done.step.section}: {done.step.text.splitlines()[0]}", flush=True)
    if done.code:
        print(done.output, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.terraform.first_deployment")
    parser.add_argument("--write", type=Path, help="the file to write the walk to, if all of it succeeds")
    chosen = parser.parse_args(arguments)
    if not TOOL.exists():
        print(
            "There is no Terraform that plans offline (AISLE_TERRAFORM), so the walk cannot be taken.", file=sys.stderr
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="aisle-walk-") as home:
        done = walk(Path(home), print_step)
    if done[-1].code:
        return 1
    if chosen.write:
        chosen.write.write_text(written(done))
        print(f"wrote {chosen.write}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
