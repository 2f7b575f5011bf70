"""Each function's archive has all that the function imports, nothing else of ours, and the requirements to run it."""

import ast
import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from local.places import ROOT
from shared.manifest import Entry, Manifest, manifest
from tests.terraform.archive_contents import Patterns
from tests.terraform.conftest import Plan

OWN = ("functions", "jobs", "shared")
NEVER = ("local", "tests", "web", "benchmarks", "terraform", "docs", "delivery")
# resolves a target as functions-framework does, and prints which of our modules came from outside the archive
PROBE = """
import importlib.util, json, sys
from pathlib import Path
root, target = Path(sys.argv[1]).resolve(), sys.argv[2]
sys.path.append(str(root))
spec = importlib.util.spec_from_file_location("main", root / "main.py")
main = importlib.util.module_from_spec(spec)
sys.modules["main"] = main
spec.loader.exec_module(main)
assert callable(getattr(main, target)), target
if target == "edge":
    for name in set(sys.modules["functions.edge.main"].paths.values()):
        assert callable(getattr(main, name)), name
import ast
# imports inside functions run on first use: resolve them as well
for file in sorted(root.rglob("*.py")):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else (
            [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else [])
        for name in names:
            if name.split(".")[0] in ("functions", "jobs", "shared"):
                assert importlib.util.find_spec(name), f"{file} imports {name}, which is not in the archive"
strangers = [name for name, module in sys.modules.items()
             if name.split(".")[0] in ("functions", "jobs", "shared")
             and getattr(module, "__file__", None) and not Path(module.__file__).is_relative_to(root)]
print(json.dumps(strangers))
"""


def unpack(files: Mapping[str, str], folder: Path) -> None:
    for inside, content in files.items():
        file = folder / inside
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def read_files(patterns: Patterns, entry: Entry) -> dict[str, str]:
    return {inside: path.read_text() for inside, path in patterns.files(entry).items()}


@pytest.fixture(scope="module")
def archives(listed: Manifest) -> dict[str, dict[str, str]]:
    """The files of each archive and their content, computed without Terraform."""
    patterns = Patterns.read()
    return {name: read_files(patterns, entry) for name, entry in listed.entries.items()}


@pytest.fixture(scope="module")
def unpacked(dev: Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each archive's folder."""
    home = tmp_path_factory.mktemp("archives")
    for name, files in dev.archives().items():
        unpack(files, home / name)
    return {name: home / name for name in dev.archives()}


def test_every_entry_has_an_archive_named_by_its_content(dev: Plan, listed: Manifest) -> None:
    objects = dev.by_key("google_storage_bucket_object", "source")
    assert set(dev.archives()) == set(objects) == set(listed.entries)
    for name, one in objects.items():
        folder, _, file = one["name"].partition("/")
        assert folder == name
        assert len(file) == len("0123456789abcdef.zip")
    assert len({one["name"].partition("/")[2] for one in objects.values()}) == len(objects)


def test_files_are_readable_by_every_user(dev: Plan) -> None:
    modes = {
        one["values"]["output_file_mode"]
        for one in dev.document["prior_state"]["values"]["root_module"]["resources"]
        if one["type"] == "archive_file"
    }
    assert modes == {"0644"}


def test_an_archive_has_the_code_of_its_function_and_of_no_other(
    archives: dict[str, dict[str, str]], listed: Manifest
) -> None:
    for name, files in archives.items():
        assert {"main.py", "functions.yaml", "requirements.txt"} <= set(files)
        entry = listed.entries[name]
        has_pages = "/" in entry.paths
        folders = {file.split("/")[0] for file in files}
        assert not folders & (set(NEVER) - ({"web"} if has_pages else set()))
        assert ("web/storefront/index.html" in files) == has_pages, name
        if entry.kind == "job":
            assert f"jobs/{name}.py" in files
            assert not [file for file in files if file.startswith("functions/")]
            others = {f"jobs/{other.name}.py" for other in listed.of_kind("job") if other.name != name}
        else:
            assert f"functions/{name}/main.py" in files
            assert not [file for file in files if file.startswith("jobs/")]
            stands_for = {public.name for public in listed.public_functions} if entry.kind == "edge" else set()
            assert {f"functions/{other}/main.py" for other in stands_for} <= set(files)
            others = {f"functions/{other}/main.py" for other in listed.entries if other not in (name, *stands_for)}
        assert not others & set(files)


def test_heavy_jobs_and_only_they_install_the_heavy_packages(
    archives: dict[str, dict[str, str]], listed: Manifest
) -> None:
    light = (ROOT / "requirements.txt").read_text()
    heavy = (ROOT / "jobs/requirements.txt").read_text()
    for name, files in archives.items():
        assert files["requirements.txt"] == (heavy if listed.entries[name].heavy else light), name


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@cache
def imported_modules(source: str) -> frozenset[str]:
    """Return our modules that a file imports, also those imported from a package by name."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
            modules |= {name for alias in node.names if is_module(name := f"{node.module}.{alias.name}")}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return frozenset(name for name in modules if name.split(".")[0] in OWN)


def missing_modules(files: Mapping[str, str]) -> set[str]:
    """Return our modules that the files of an archive import and that are not among them."""
    python_files = {file: content for file, content in files.items() if file.endswith(".py")}
    present = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in python_files}
    return {name for content in python_files.values() for name in imported_modules(content)} - present


def test_every_module_of_ours_that_an_archive_imports_is_in_it(archives: dict[str, dict[str, str]]) -> None:
    for name, files in archives.items():
        assert missing_modules(files) == set(), name


def test_contents_computed_without_terraform_are_those_of_the_plan(
    dev: Plan, archives: dict[str, dict[str, str]]
) -> None:
    assert archives == dev.archives()


def test_every_pattern_for_heavy_jobs_is_needed_by_one_of_them(listed: Manifest) -> None:
    patterns = Patterns.read()
    heavy = [entry for entry in listed.entries.values() if entry.heavy]
    for pattern in patterns.heavy:
        fewer = patterns.without(pattern)
        package = pattern.removesuffix("/**/*.py").replace("/", ".")
        missing = {name for entry in heavy for name in missing_modules(read_files(fewer, entry))}
        assert package in {".".join(name.split(".")[:2]) for name in missing}, pattern


def test_every_folder_of_jobs_is_in_the_archives_of_heavy_jobs() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "jobs").glob("*/__init__.py")}
    assert {pattern.removesuffix("/**/*.py") for pattern in Patterns.read().heavy} == folders


def test_every_entry_resolves_from_its_archive_alone(archives: dict[str, dict[str, str]], tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    empty = tmp_path / "empty"
    empty.mkdir()

    def resolve(name: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / name
        unpack(archives[name], folder)
        # isolated (-I): neither the working folder nor PYTHONPATH leads to the repository
        return subprocess.run(
            [sys.executable, "-I", "-B", "-W", "ignore", probe, folder, name],
            env={"PATH": os.defpath, "HOME": str(tmp_path)},
            cwd=empty,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(archives, pool.map(resolve, archives), strict=True))
    assert results.keys() == manifest().entries.keys()
    for name, done in results.items():
        assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        assert json.loads(done.stdout.splitlines()[-1]) == [], name


def test_data_files_of_shared_are_in_every_archive(archives: dict[str, dict[str, str]]) -> None:
    read = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "shared").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert len(read) > 5
    for name, files in archives.items():
        assert read <= set(files), name


def environment_of(requirements: Path, home: Path) -> Path:
    """Create a virtual environment with these requirements alone, and return its interpreter."""
    venv.create(home, with_pip=False)
    python = home / "bin/python"
    options = ["--quiet", "--no-deps", "--require-hashes", "-r", str(requirements)]
    # uv takes a fifth of pip's time, but does not read pip's registry settings
    for install in (["uv", "pip", "install", "--python", str(python)], ["pip", "--python", str(python), "install"]):
        done = subprocess.run(
            [sys.executable, "-m", *install, *options], capture_output=True, text=True, timeout=900, check=False
        )
        if done.returncode == 0:
            return python
    pytest.skip(f"the packages cannot be installed here: {done.stderr[-400:]}")


@pytest.mark.parametrize("heavy", [False, True], ids=["requirements.txt", "jobs/requirements.txt"])
def test_each_entry_is_served_from_its_archive_with_its_requirements_alone(
    heavy: bool, unpacked: dict[str, Path], listed: Manifest, tmp_path: Path
) -> None:
    names = [entry.name for entry in listed.entries.values() if entry.heavy == heavy]
    python = environment_of(unpacked[names[0]] / "requirements.txt", tmp_path / "venv")
    clean = {"PATH": os.defpath, "HOME": str(tmp_path)}
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    for name in names:
        done = subprocess.run(
            [python, "-I", "-W", "ignore", probe, unpacked[name], name],
            env=clean,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        assert json.loads(done.stdout.splitlines()[-1]) == [], name
