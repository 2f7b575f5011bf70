"""Each function's archive has all that the function imports, only what it may, and the requirements it runs with."""

import ast
import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from local.places import ROOT
from shared.manifest import Manifest
from tests.terraform.conftest import Plan

OWN = ("functions", "jobs", "shared")
NEVER = ("local", "tests", "web", "benchmarks", "terraform", "docs", "delivery")
# resolves a target as functions-framework does, and says where each of our modules came from
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
import ast
# also what is imported when it is first used
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


@pytest.fixture(scope="module")
def unpacked(dev: Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each archive's folder."""
    home = tmp_path_factory.mktemp("archives")
    found = {}
    for name, files in dev.archives().items():
        for inside, content in files.items():
            file = home / name / inside
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        found[name] = home / name
    return found


def test_every_entry_has_an_archive_named_by_its_content(dev: Plan, listed: Manifest) -> None:
    objects = dev.by_key("google_storage_bucket_object", "source")
    assert set(dev.archives()) == set(objects) == set(listed.entries)
    for name, one in objects.items():
        folder, _, file = one["name"].partition("/")
        assert folder == name
        assert len(file) == len("0123456789abcdef.zip")
    assert len({one["name"].partition("/")[2] for one in objects.values()}) == len(objects)


def test_files_are_readable_by_whoever_unpacks_them(dev: Plan) -> None:
    modes = {
        one["values"]["output_file_mode"]
        for one in dev.document["prior_state"]["values"]["root_module"]["resources"]
        if one["type"] == "archive_file"
    }
    assert modes == {"0644"}


def test_an_archive_has_its_own_code_and_nobody_elses(dev: Plan, listed: Manifest) -> None:
    for name, files in dev.archives().items():
        assert {"main.py", "functions.yaml", "requirements.txt"} <= set(files)
        assert not [file for file in files if file.split("/")[0] in NEVER]
        entry = listed.entries[name]
        if entry.kind == "job":
            assert f"jobs/{name}.py" in files
            assert not [file for file in files if file.startswith("functions/")]
            others = {f"jobs/{other.name}.py" for other in listed.of_kind("job") if other.name != name}
        else:
            assert f"functions/{name}/main.py" in files
            assert not [file for file in files if file.startswith("jobs/")]
            others = {f"functions/{other}/main.py" for other in listed.entries if other != name}
        assert not others & set(files)


def test_heavy_jobs_and_only_they_install_the_heavy_packages(dev: Plan, listed: Manifest) -> None:
    light = (ROOT / "requirements.txt").read_text()
    heavy = (ROOT / "jobs/requirements.txt").read_text()
    for name, files in dev.archives().items():
        assert files["requirements.txt"] == (heavy if listed.entries[name].heavy else light), name


def _imports(files: Mapping[str, str]) -> set[str]:
    found = set()
    for file, content in files.items():
        if file.endswith(".py"):
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module)
                elif isinstance(node, ast.Import):
                    found.update(alias.name for alias in node.names)
    return {name for name in found if name.split(".")[0] in OWN}


def test_whatever_of_ours_an_archive_imports_is_in_it(dev: Plan) -> None:
    for name, files in dev.archives().items():
        packages = {str(Path(file).parent).replace("/", ".") for file in files if file.endswith("__init__.py")}
        modules = {file.removesuffix(".py").replace("/", ".") for file in files if file.endswith(".py")} | packages
        missing = {module for module in _imports(files) if module not in modules}
        assert not missing, f"{name}: {missing}"


def test_what_our_code_reads_beside_itself_is_in_every_archive(dev: Plan) -> None:
    read = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "shared").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert len(read) > 5
    for name, files in dev.archives().items():
        assert read <= set(files), name


def environment_of(requirements: Path, home: Path) -> Path:
    """Make a virtual environment with these requirements and nothing else; return its interpreter."""
    venv.create(home, with_pip=False)
    python = home / "bin/python"
    what = ["--quiet", "--no-deps", "--require-hashes", "-r", str(requirements)]
    # uv takes a fifth of pip's time, but not everybody's registry is known to it
    for install in (["uv", "pip", "install", "--python", str(python)], ["pip", "--python", str(python), "install"]):
        done = subprocess.run(
            [sys.executable, "-m", *install, *what], capture_output=True, text=True, timeout=900, check=False
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
