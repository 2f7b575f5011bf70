"""The mutation run fails where it should: too few caught, a survivor without a reason, a reason without its line."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import mutants
from benchmarks.mutants import GROUPS, Mutant, Survivor, difference, listed, report

MUTANT = Mutant("domain", "shared/domain/ranking.py", "core/NumberReplacer", 0, "rank", "score = 1.0")
SURVIVOR = Survivor("shared/domain/ranking.py", "score = 1.0", "score = 2.0")


def results(caught: int, survived: int) -> dict[Mutant, Survivor | None]:
    tried = [replace(MUTANT, occurrence=number) for number in range(caught + survived)]
    return {mutant: None if number < caught else SURVIVOR for number, mutant in enumerate(tried)}


@pytest.mark.parametrize(("caught", "survived", "good"), [(85, 15, True), (84, 16, False), (0, 0, False)])
def test_the_share_decides_at_the_target(caught: int, survived: int, good: bool) -> None:
    lines, reached = report(results(caught, survived), 3000, {SURVIVOR: "equivalent"})
    assert reached is good
    assert f"| all | {caught + survived} of 3,000 | {caught} | {caught / max(1, caught + survived):.0%} |" in lines


def test_a_survivor_that_is_not_listed_fails_the_run() -> None:
    lines, reached = report(results(99, 1), 3000, {replace(SURVIVOR, mutated="score = 0.0"): "another change"})
    assert not reached
    assert any("NOT LISTED in survivors.toml" in line for line in lines)


def test_every_listed_survivor_has_a_reason_and_a_line_that_exists() -> None:
    assert all(reason.strip() for reason in listed().values())


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ('module = "shared/domain/text.py"\nline = "x"\nmutated = "y"\nreason = " "', "has no reason"),
        ('module = "shared/domain/text.py"\nline = "no such line"\nmutated = "y"\nreason = "r"', "any more; remove it"),
        ('module = "shared/domain/gone.py"\nline = "x"\nmutated = "y"\nreason = "r"', "any more; remove it"),
    ],
)
def test_a_bad_entry_is_refused(entry: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "survivors.toml"
    file.write_text(f"[[survivor]]\n{entry}\n")
    monkeypatch.setattr(mutants, "SURVIVORS", file)
    with pytest.raises(ValueError, match=complaint):
        listed()


def test_a_survivor_is_the_line_that_differs() -> None:
    assert difference("m.py", "a\n    b = 1\nc\n", "a\n    b = 2\nc\n") == Survivor("m.py", "b = 1", "b = 2")
    assert difference("m.py", "@cache\ndef f(): ...\n", "def f(): ...\n") == Survivor("m.py", "@cache", "def f(): ...")
    assert difference("m.py", "a\nb\n", "a\n") == Survivor("m.py", "b", "")


def test_the_sample_does_not_depend_on_the_place_in_the_file() -> None:
    # two more mutants of the operator above it
    assert replace(MUTANT, occurrence=2).order == MUTANT.order
    assert replace(MUTANT, place="score = 2.0").order != MUTANT.order


def test_every_group_has_modules_and_tests() -> None:
    for group in GROUPS.values():
        modules = [path for pattern in group.modules for path in mutants.ROOT.glob(pattern)]
        assert modules
        for module in modules:
            for test in (*group.first_tests(module.relative_to(mutants.ROOT).as_posix()), *group.further):
                assert (mutants.ROOT / test).exists(), test
