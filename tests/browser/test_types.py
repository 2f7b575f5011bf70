"""The types of the pages' modules, which their comments declare, agree. Needs Node, but no browser.

`web/aisle.js` is left out: such comments would be a tenth of what each visitor of a shop loads.
"""

import re
import shutil
import subprocess

import pytest

from local.places import ROOT

COMPILER = ROOT / "tests/browser/node_modules/typescript/bin/tsc"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.skipif(not COMPILER.is_file(), reason="npm ci in tests/browser installs the type checker")
def test_the_types_of_all_modules_agree() -> None:
    command = ["node", str(COMPILER), "--noEmit", "-p", "web/jsconfig.json"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    findings = re.findall(r"^\S+\(\d+,\d+\): error .*", checked.stdout, re.MULTILINE)
    assert checked.returncode == 0 or findings, checked.stdout + checked.stderr
    # the compiler reads what a module imports, also where it is not to check it
    assert [finding for finding in findings if not finding.startswith("web/vendor/")] == []
