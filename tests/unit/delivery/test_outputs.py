"""Terraform's outputs, as the delivery's commands read them."""

from pathlib import Path

import pytest

from delivery import outputs

COMMAND = "terraform -chdir=terraform output -json > build/outputs.json"


def test_each_output_is_its_value(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text('{"urls": {"sensitive": false, "value": {"migrate": "https://migrate"}}, "feeds": {"value": null}}')
    assert outputs.read(str(file)) == {"urls": {"migrate": "https://migrate"}, "feeds": None}


def test_a_missing_file_is_named_with_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"outputs\.json cannot be read: No such file or directory") as stop:
        outputs.read(str(tmp_path / "outputs.json"))
    assert COMMAND in str(stop.value)


@pytest.mark.parametrize(
    "text", ["", "terraform: not found", "[]", "3", '{"urls": {}}', '{"urls": "x"}'], ids=lambda text: text or "empty"
)
def test_what_is_not_terraforms_output_is_refused_with_the_command_that_prints_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(text)
    with pytest.raises(SystemExit, match="does not have the form of Terraform's outputs") as stop:
        outputs.read(str(file))
    assert COMMAND in str(stop.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SystemExit, match="cannot be read: it is not text"):
        outputs.read(str(file))
