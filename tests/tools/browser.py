"""A browser that clicks as a person does: Debian's Chromium, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

# What fits into a page of the docs, and holds the columns of Airflow's tables whole.
SIZE = {"width": 1384, "height": 800}


@contextmanager
def page(base_url: str) -> Iterator[Page]:
    """An empty page; addresses are below ``base_url``. Raises RuntimeError where Chromium is not installed."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        raise RuntimeError("Chromium is missing: install it (apt-get install chromium), or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        try:
            yield browser.new_page(base_url=base_url, viewport=SIZE)  # type: ignore[arg-type]
        finally:
            browser.close()
