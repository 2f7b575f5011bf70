"""The commands of the page, and the page that keeps what they answered."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from local.places import ROOT

PAGE: Final = ROOT / "docs/runbooks/first-deployment.md"
KEPT: Final = ROOT / "docs/runbooks/first-deployment-walk.md"
BLOCK: Final = re.compile(r"^```(sh|hcl)\n(.*?)^```$|^#+ ([^\n]+)$", re.MULTILINE | re.DOTALL)
# lines of an answer that are kept from its beginning and from its end, and those that are kept anywhere
FIRST_LINES: Final = 6
LAST_LINES: Final = 8
TELLING: Final = re.compile(r"Plan: |Apply complete!|No changes\.")
LINE_CHARACTERS: Final = 240
EXIT: Final = "[exit code {}]"
HEAD: Final = """# First deployment, command by command

Written by `python3 -m tests.terraform.first_deployment --write FILE`, which runs the commands of
[first-deployment.md](first-deployment.md) in order, in a copy of the repository. A test compares the commands of both
pages.

Real are Terraform's core, all functions and jobs with PostgreSQL, Redis and Pub/Sub, and `delivery/`. Stand-ins are:
Google's provider of Terraform, whose resources take no time, and the archives of functions, which it does not read;
`gcloud`, which refuses commands and flags that it does not know, and an order that Google refuses; and the way to Cloud
Run, which refuses calls of private functions without a token. So this shows that the commands fit together; it does not
show what Google answers. Values that differ from walk to walk are written `…`.
"""


class Step(NamedTuple):
    """A command of the page, or text that the operator adds to a file, below a heading of the page."""

    section: str
    text: str
    # the file that gets the text; None for a command
    file: str | None = None


class Done(NamedTuple):
    """A step, what the operator typed meanwhile, and how it ended."""

    step: Step
    typed: str
    output: str
    code: int


def is_complete(command: str) -> bool:
    """Return whether Bash would run a command, instead of waiting for its next line."""
    checked = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True, check=False)
    return checked.returncode == 0 and not command.rstrip("\n").endswith("\\")


def commands(block: str) -> Iterator[str]:
    """Yield the commands of a block, each with all its lines, without the comments between them."""
    command = ""
    for line in block.splitlines(keepends=True):
        if not command and (not line.strip() or line.startswith("#")):
            continue
        command += line
        if is_complete(command):
            yield command.rstrip("\n")
            command = ""
    if command:
        raise ValueError(f"The page has a command without an end: {command}")


def steps(text: str) -> Iterator[Step]:
    """Yield the steps of a page, in order. A block of HCL begins with a comment that names its file."""
    section = ""
    for kind, block, heading in BLOCK.findall(text):
        if heading:
            section = heading
        elif kind == "hcl":
            first, _, rest = block.partition("\n")
            yield Step(section, rest.rstrip("\n"), first.removeprefix("# "))
        else:
            for command in commands(block):
                yield Step(section, command)


def shortened(output: str) -> str:
    """Return an answer without the ends of long lines, and without its middle, if that is long."""
    lines = [line[:LINE_CHARACTERS] + "…" * (len(line) > LINE_CHARACTERS) for line in output.splitlines()]
    if len(lines) <= FIRST_LINES + LAST_LINES + 1:
        return "\n".join(lines)
    kept, left_out = lines[:FIRST_LINES], 0
    for place, line in enumerate(lines[FIRST_LINES:], FIRST_LINES):
        is_kept = place >= len(lines) - LAST_LINES or TELLING.match(line)
        if is_kept and left_out:
            kept.append(f"… {left_out} lines …")
        left_out = 0 if is_kept else left_out + 1
        if is_kept:
            kept.append(line)
    return "\n".join(kept)


def written(done: Sequence[Done]) -> str:
    """Return the text of the page that keeps a walk."""
    parts, section = [HEAD], ""
    for one in done:
        if one.step.section != section:
            section = one.step.section
            parts.append(f"\n## {section}\n")
        if one.step.file:
            parts.append(f"\nAdded to `{one.step.file}`:\n\n```hcl\n{one.step.text}\n```\n")
            continue
        typed = f"[typed: {one.typed}]\n" if one.typed else ""
        answer = f"{shortened(one.output)}\n" if one.output.strip() else ""
        parts.append(f"\n```console\n$ {one.step.text}\n{typed}{answer}{EXIT.format(one.code)}\n```\n")
    return "".join(parts)


def kept(file: Path = KEPT) -> list[tuple[str, str]]:
    """Return the blocks of a page that keeps a walk: the file that got their text, if any, and the text."""
    block = r"^(?:Added to `([^`\n]+)`:\n\n)?```(?:console|hcl)\n(.*?)^```$"
    return re.findall(block, file.read_text(), re.MULTILINE | re.DOTALL)
