"""A product with one of everything in it, and the address of each of its pages."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.admin_places import OF_ACCOUNTS, addresses
from tests.reanna.running import eventually
from tests.stack import Stack
from tests.who_may import Role, page_of

NO_PAGE = frozenset({
    "autocomplete", "jsi18n", "login", "logout", "search", "view_on_site", "integrations_importrun_sample",
    "integrations_importrun_bad_rows",
})  # fmt: skip
"""Answers that are no page of their own: data, scripts, files."""


def troubled(stack: Stack) -> None:
    """The demo's tours, of which some were refused, some wait and some may have arrived."""
    stack.manage("seed_demo")
    stack.await_settled(within_s=90)
    no = {"message": "The calendar is closed on that day", "statusCode": 422}
    stack.fault("status", status=422, body=no, times=None, match={"method": "PUT"})
    stack.shell(PRESS.format(tour=0))
    stack.await_settled(within_s=90)
    stack.clear_faults()
    stack.fault("rate_limited", provider="rollout", retry_after=900, times=None)
    stack.fault("drop_after_effect", times=None)
    stack.shell(PRESS.format(tour=1))
    eventually(lambda: bool(stack.operations().get("unknown")), 30)


@contextlib.contextmanager
def held_worker(stack: Stack) -> Iterator[None]:
    """The worker stands still meanwhile."""
    pid = stack.await_pid("worker")
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


PRESS = """
from datetime import timedelta
from integrations.models import Tour
from integrations.operations import tours
for stop in Tour.objects.order_by('pk')[{tour}].stops.all():
    tours.move_stop(stop.pk, start=stop.appointment_start + timedelta(minutes=15),
        end=stop.appointment_end + timedelta(minutes=15), actor='ann', via='admin', reason='The seller asked')
"""


class World:
    """The pages. `page` is signed in as a superuser and hands in `file`, whose preview is one of them."""

    def __init__(self, stack: Stack, page: Page, file: Path) -> None:
        told = stack.shell("from tests.browser.records import tell; tell()")
        self.made: dict[str, Any] = json.loads(told.splitlines()[-1])
        page.goto("/admin/integrations/importrun/import/")
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name="Check the file").click()
        page.wait_for_url("**/preview/**")
        self.made["arguments"]["token"] = page.url.rstrip("/").rsplit("/", 1)[-1]

    def pages(self) -> list[tuple[str, str]]:
        """(a short name, address) of every page a superuser may open."""
        runs, home = self.made["imports"], "/admin/integrations/importrun/"
        found = {f"{home}{runs['running']}/change/": "importrun_change_running", "/admin/nowhere/": "not-found"}
        found |= {f"{home}{runs[what]}/undo/": f"importrun_undo_{what}" for what in ("working", "planned")}
        found["/api/docs/"] = "api-docs"
        for run in ("planned", "running", "done", "stopped"):
            arguments = {**self.made["arguments"], "run_id": self.made["bulk_runs"][run]}
            for name, address in addresses(
                self.made["records"], arguments, self.made["listed"]["account"], self._key_of
            ):
                decided = page_of(name)
                if decided is not None and decided.look <= Role.SUPERUSER and not _same(name):
                    found.setdefault(address, name)
        return [(_short(name, address, self), address) for address, name in found.items()]

    @property
    def viewer(self) -> tuple[str, str]:
        """Who may only look: name, password."""
        name, password = self.made["viewer"]
        return name, password

    def _key_of(self, name: str, verb: str) -> Any:
        if name in OF_ACCOUNTS:
            return self.made["listed"]["id"]
        return self.made["operations"].get(verb) if name == "integrations_operation_verb" else None


def _same(name: str) -> bool:
    """Whether it is no page of its own, or one of a package that looks like its others."""
    alike = name.startswith("django_celery_beat_") and not name.startswith("django_celery_beat_periodictask_")
    return name in NO_PAGE or name.endswith("_history") or alike


def _short(name: str, address: str, world: World) -> str:
    """The page's name, and what tells it from others of that name."""
    verb = next((part for part in address.split("/do/")[1:]), "").strip("/")
    bulk = {str(pk): state for state, pk in world.made["bulk_runs"].items()}
    state = bulk.get(address.rstrip("/").rsplit("/", 1)[-1], "") if name == "integrations_operation_bulk" else ""
    return "-".join(part for part in (name.removeprefix("integrations_"), verb, state) if part)
