"""docs/runbooks/first-deployment.md can be followed from top to bottom: nothing is used before it is made.

tests/terraform/first_deployment runs its commands, and docs/runbooks/first-deployment-walk.md keeps what they answered.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terraform.first_deployment import page

PAGE = (Path(__file__).parents[2] / "docs/runbooks/first-deployment.md").read_text()
COMMANDS = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
# made by the shell itself, or told to type in
GIVEN = {"MAIL_PASSWORD", "AISLE_PASSWORD"}


def test_folders_are_made_before_they_are_written() -> None:
    assert COMMANDS.index("mkdir -p build") < COMMANDS.index("build/outputs.json")


def test_variables_are_set_before_they_are_used() -> None:
    for name in set(re.findall(r'"?\$\{?([A-Za-z_]+)', COMMANDS)) - GIVEN:
        set_at = re.search(rf"(?:^|\s|;){name}=|for {name} in", COMMANDS)
        used_at = re.search(rf"\$\{{?{name}\b", COMMANDS)
        assert set_at, name
        assert used_at, name
        assert set_at.start() < used_at.start(), f"{name} is used before it is set"


def test_the_functions_that_are_opened_by_hand_are_the_public_ones() -> None:
    from shared.manifest import manifest

    listed = re.search(r"for service in ([\w -]+); do\n +gcloud run services update", COMMANDS)
    assert listed
    assert set(listed.group(1).split()) == {entry.name for entry in manifest().entries.values() if entry.public}


def test_the_kept_walk_has_the_commands_of_the_page_in_order_and_each_succeeded() -> None:
    steps = list(page.steps(PAGE))
    kept = page.kept()
    assert [file for file, _ in kept] == [step.file or "" for step in steps]
    for step, (_, text) in zip(steps, kept, strict=True):
        if step.file:
            assert text == f"{step.text}\n"
        else:
            assert text.startswith(f"$ {step.text}\n")
            assert text.endswith(f"{page.EXIT.format(0)}\n"), f"take the walk again: {step.text}"


@pytest.mark.parametrize(
    ("failing", "expected", "calls"), [("import_catalog", 22, 1), ("load_events", 22, 2), ("", 0, 2)]
)
def test_the_imports_stop_at_the_first_that_fails(tmp_path: Path, failing: str, expected: int, calls: int) -> None:
    (loop,) = [step.text for step in page.steps(PAGE) if "for step in import_catalog" in step.text]
    (tmp_path / "build").mkdir()
    addresses = {name: f"https://{name}.example" for name in ("import_catalog", "load_events")}
    (tmp_path / "build/outputs.json").write_text(json.dumps({"urls": {"value": addresses}}))
    programs = {
        "gcloud": "echo a-token",
        "curl": f'echo "$@" >> calls.txt; case "$*" in *"https://{failing}.example") exit 22;; esac',
        "python3": f'exec {sys.executable} "$@"',
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PROJECT": "a-shop"}
    process = subprocess.run(["bash", "-c", loop], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert process.returncode == expected, process.stderr
    assert len((tmp_path / "calls.txt").read_text().splitlines()) == calls


def test_a_command_ends_where_bash_would_run_it() -> None:
    loop = "for a in 1 2; do\n    echo \\\n        $a; done"
    assert list(page.commands(f"# why\n\necho 'a\nb'\n{loop}\necho c\n")) == ["echo 'a\nb'", loop, "echo c"]
    with pytest.raises(ValueError, match="without an end"):
        list(page.commands("for a in 1 2; do\n    echo $a\n"))


def test_long_answers_keep_their_ends_and_what_tells_the_result() -> None:
    first, last = [f"first {n}" for n in range(page.FIRST_LINES)], [f"last {n}" for n in range(page.LAST_LINES)]
    short = [*first, "middle", *last]
    assert page.shortened("\n".join(short)).splitlines() == short
    long = [*first, "a", "b", "Plan: 2 to add", "c", "Apply complete! 2", *last]
    assert page.shortened("\n".join(long)).splitlines() == [
        *first,
        "… 2 lines …",
        "Plan: 2 to add",
        "… 1 lines …",
        "Apply complete! 2",
        *last,
    ]
    assert page.shortened("x" * 241) == "x" * 240 + "…"
    assert page.shortened("x" * 240) == "x" * 240
