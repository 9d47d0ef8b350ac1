"""Every page in every look: light and dark, 1440 and 360 px wide."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser.conftest import launched, signed_in
from tests.browser.world import World, troubled
from tests.stack import Stack
from tests.tour_files import feedback_file, tours_file

WIDTHS, SCHEMES = (1440, 360), ("light", "dark")
SOME = ("index", "tour_change", "connection_change")
"""What is looked at under each banner."""


def take_all(folder: Path, words: list[str]) -> None:
    """Into the folder, as `<page>.<width>.<scheme>.png`; with words, only pages whose names hold one of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="shots-") as made,
        launched() as browser,
        Stack(Path(made) / "data", REANNA_SIGN_IN_ATTEMPTS="3") as stack,
    ):
        camera = Camera(browser, stack, folder, words)
        camera.take([("nothing-yet", "/admin/"), *lists("nothing-yet-")])
        troubled(stack)
        stack.manage("import_tours", str(tours_file(Path(made) / "tours.csv", {})))
        stack.manage("import_feedback", str(feedback_file(Path(made) / "answers.csv", {})))
        bad = tours_file(Path(made) / "new.csv", {"tour_ref": "B-1"}, {"tour_ref": "B-2", "latitude": "north"})
        world = World(stack, camera.pages[0], bad)
        pages = world.pages()
        camera.take(pages)
        few = [(name, address) for name, address in pages if name in SOME]
        stack.freeze_redis()
        camera.pages[0].wait_for_timeout(20_000)
        camera.take([(f"redis-away-{name}", address) for name, address in few])
        stack.thaw_redis()
        stack.manage("restore_mode", "--window", "1h", "--yes")
        camera.take([(f"restored-{name}", address) for name, address in few])
        camera.strangers()


def lists(prefix: str) -> list[tuple[str, str]]:
    """(a short name, address) of each list."""
    names = ("tour", "contact", "feedback", "agent", "office", "operation", "importrun", "auditevent", "apitoken")
    return [(f"{prefix}{name}", f"/admin/integrations/{name}/") for name in names]


class Camera:
    """A window for each width and scheme."""

    def __init__(self, browser: Browser, stack: Stack, folder: Path, words: list[str]) -> None:
        self.browser, self.stack, self.folder, self.words = browser, stack, folder, words
        self.modes = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
        self.pages = [signed_in(browser, stack, **self._options(*mode)) for mode in self.modes]

    def _options(self, width: int, scheme: str) -> dict[str, object]:
        return {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}

    def take(self, pages: list[tuple[str, str]]) -> None:
        for name, address in pages:
            if not self.words or any(word in name for word in self.words):
                for page, (width, scheme) in zip(self.pages, self.modes, strict=True):
                    page.goto(address)
                    self.shoot(page, name, width, scheme)

    def shoot(self, page: Page, name: str, width: int, scheme: str) -> None:
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(150)
        page.screenshot(path=self.folder / f"{name}.{width}.{scheme}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth")
        print(f"{name} {width} {scheme}{f': {wide} px wide' if wide > width else ''}", flush=True)

    def strangers(self) -> None:
        """What someone sees who is not signed in, is refused, or tried too often."""
        for width, scheme in self.modes:
            page = self.browser.new_context(base_url=self.stack.url, **self._options(width, scheme)).new_page()  # type: ignore[arg-type]
            for name in self._steps(page):
                self.shoot(page, name, width, scheme)

    def _steps(self, page: Page) -> Iterator[str]:
        page.goto("/admin/login/")
        yield "login"
        for _ in range(4):
            page.get_by_label("Username").fill("mallory")
            page.get_by_label("Password").fill("guess")
            with page.expect_navigation():
                page.get_by_role("button", name="Log in").click()
            if not page.get_by_label("Username").count():
                break
            yield "login-refused"
        yield "locked-out"
