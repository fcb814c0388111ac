"""The browser that pages are tested in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Start the system's Chromium; skip where it or Playwright is missing, but fail in CI."""
    strict = os.environ.get("HARNESS_CI") == "1"
    if not strict and (CHROMIUM is None or find_spec("playwright") is None):
        pytest.skip("needs chromium (apt-get install chromium) and playwright (pip install playwright)")
    assert CHROMIUM, "HARNESS_CI=1 and no chromium: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()
