"""The system's own Chromium, for tests of what a reader or a visitor meets."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
SWITCHES = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
SWITCHES += " disable-component-update disable-sync"
NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason=f"no browser: none of {', '.join(BROWSERS)} on PATH"),
]


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        switches = [f"--{name}" for name in SWITCHES.split()]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield browser
        browser.close()
