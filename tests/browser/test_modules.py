"""A page names the modules that it needs at once, so that the browser reads them together. Needs no browser."""

import re
from pathlib import Path

import pytest

from local.places import ROOT

WEB = ROOT / "web"
PAGES = [page for page in sorted(WEB.glob("*/index.html")) if 'type="module"' in page.read_text()]
MODULE = re.compile(r'<script type="module" src="/web/([^"]+)"')
PRELOADED = re.compile(r'<link rel="modulepreload" href="/web/([^"]+)"')
# import … from "./x.js"; export … from "./x.js"; also without white space, as compressed files write it
IMPORTED = re.compile(r"""^\s*(?:import|export)\b[^"'();]*?from\s*["'](\.[^"']+)["']""", re.MULTILINE)
COMPRESSED = re.compile(r"""(?:^|[;}])(?:import|export)[^"'();]*?from\s*["'](\.[^"']+)["']""")


def needed_by(module: str) -> set[str]:
    """Return the module and those that it imports before it runs, below web/."""
    needed: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        file = WEB / name
        pattern = COMPRESSED if name.startswith("vendor/") else IMPORTED
        waiting += [str((file.parent / path).resolve().relative_to(WEB)) for path in pattern.findall(file.read_text())]
    return needed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_a_page_preloads_exactly_the_modules_that_it_needs(page: Path) -> None:
    text = page.read_text()
    (module,) = MODULE.findall(text)
    preloaded = PRELOADED.findall(text)
    assert sorted(preloaded) == sorted(needed_by(module) - {module})
