"""docs/runbooks/first-deployment.md can be followed from top to bottom: nothing is used before it is made."""

import re
from pathlib import Path

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
    assert set(listed.group(1).split()) == {entry.name for entry in manifest().of_kind("http") if entry.public}
