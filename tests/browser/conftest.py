"""A real headless Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Chromium with an empty profile; skipped where there is none, unless CLAIMBENCH_REQUIRE_BROWSER is set."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        if os.environ.get("CLAIMBENCH_REQUIRE_BROWSER"):
            pytest.fail("chromium and chromedriver are required here and are not installed")
        pytest.skip("NO BROWSER: install chromium and chromedriver to test the pages")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    instance = webdriver.Chrome(options=options, service=Service(driver))
    instance.set_page_load_timeout(60)
    yield instance
    instance.quit()
