"""A browser before the running product: the machine's chromium, driven by Playwright.

All files share one product and one browser, and follow one another: the desk first, while nothing is there.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.stack import Stack

LOGIN = re.compile(r"login\s+user (\S+), password (\S+)")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running product without demo tours; three wrong passwords close its door."""
    with Stack(tmp_path_factory.mktemp("browsed") / "data", REANNA_SIGN_IN_ATTEMPTS="3") as running:
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for the tests of all files."""
    with launched() as opened:
        yield opened


@pytest.fixture(scope="session")
def signed(browser: Browser, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who is signed in, kept in a file: one sign-in for all contexts."""
    page = signed_in(browser, stack)
    kept = tmp_path_factory.mktemp("signed") / "state.json"
    page.context.storage_state(path=kept)
    page.context.close()
    return kept


def signed_in(browser: Browser, stack: Stack, *, user: tuple[str, str] | None = None, **options: object) -> Page:
    """A page of its own context, signed in with what `up` printed, or as `user`."""
    found = LOGIN.search(stack.said())
    assert found, stack.said()
    page = opened(browser, stack, **options)
    name, password = user or (found[1], found[2])
    page.goto("/admin/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(r"/admin/$"))
    return page


def opened(browser: Browser, stack: Stack, **options: object) -> Page:
    """A page of its own context."""
    page = browser.new_context(base_url=stack.url, **options).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(15_000)
    return page
