"""Measure the pages of a running shop: script time in Chromium, and Lighthouse's scores where it is installed.

    python -m tests.browser.measure_pages http://localhost:8080

It is run by hand, on an idle machine; docs/benchmarks.md keeps the figures. Lighthouse comes with
`npm install --no-save --prefix tests/browser lighthouse@12`.
"""

import argparse
import json
import os
import subprocess
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

from local.places import ROOT
from tests.browser.conftest import CHROMIUM

LIGHTHOUSE: Final = ROOT / "tests/browser/node_modules/lighthouse/cli/index.js"
CATEGORIES: Final = ("performance", "accessibility", "best-practices")
FLAGS: Final = ["--no-sandbox", "--disable-dev-shm-usage"]
# each page, and what it shows once it is there
PAGES: Final = {
    "/": "main",
    "/console": "main",
    "/docs": ".operation",
    "/docs#get_recommendations": "#get_recommendations .try",
}


def script_time(browser: Browser, url: str, selector: str) -> dict[str, float]:
    """Return the milliseconds of script and of all work until the page shows what the selector finds."""
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.goto(url)
    page.wait_for_selector(selector)
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    page.close()
    return {"script": metrics["ScriptDuration"] * 1000, "all": metrics["TaskDuration"] * 1000}


def scores(url: str) -> dict[str, int]:
    """Return Lighthouse's scores of a page, in percent, as a phone sees it."""
    command = ["node", str(LIGHTHOUSE), url, "--output=json", "--quiet", f"--chrome-flags=--headless {' '.join(FLAGS)}"]
    command.append(f"--only-categories={','.join(CATEGORIES)}")
    process = subprocess.run(
        command, env=os.environ | {"CHROME_PATH": str(CHROMIUM)}, capture_output=True, text=True, check=True
    )
    report: dict[str, Any] = json.loads(process.stdout)
    for name, audit in sorted(report["audits"].items()):
        if audit["score"] is not None and audit["score"] < 1 and audit["scoreDisplayMode"] == "binary":
            print(f"  {url}: {name}: {audit['title']}")
    return {name: round(100 * report["categories"][name]["score"]) for name in CATEGORIES}


def main() -> None:
    """Print a line for each page."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure_pages")
    parser.add_argument("url")
    url = parser.parse_args().url.rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for path, selector in PAGES.items():
            spent = script_time(browser, url + path, selector)
            print(f"{path}: {spent['script']:.0f} ms of script, {spent['all']:.0f} ms of all work")
        browser.close()
    if not LIGHTHOUSE.is_file():
        print("Lighthouse is not installed.")
        return
    for path in PAGES:
        print(f"{path}: {', '.join(f'{name} {score}' for name, score in scores(url + path).items())}")


if __name__ == "__main__":
    main()
