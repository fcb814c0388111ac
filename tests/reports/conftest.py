"""The browser that pages are tested in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.needs import missing

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Start the system's Chromium; skip where it or Playwright is missing, but fail in CI."""
    if CHROMIUM is None:
        missing("chromium", "apt-get install chromium")
    if find_spec("playwright") is None:
        missing("playwright", "pip install playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()
