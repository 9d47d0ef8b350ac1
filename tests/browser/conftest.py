"""A browser before the running product: the machine's chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.stack import Stack

LOGIN = re.compile(r"login\s+user (\S+), password (\S+)")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running product without demo tours."""
    with Stack(tmp_path_factory.mktemp("browsed") / "data") as running:
        yield running


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Headless chromium. Skips where there is none; `.ci/run` installs it and refuses a skip."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a file."""
    with launched() as opened:
        yield opened


def signed_in(browser: Browser, stack: Stack, **options: object) -> Page:
    """A page of its own context, signed in with what `up` printed. A script error on any page fails the test."""
    found = LOGIN.search(stack.said())
    assert found, stack.said()
    page = browser.new_context(base_url=stack.url, **options).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(15_000)
    page.goto("/admin/login/?next=/admin/")
    page.get_by_label("Username").fill(found[1])
    page.get_by_label("Password").fill(found[2])
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/admin/$"))
    return page
