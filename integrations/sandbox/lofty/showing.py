"""What the page shows of a Lofty account."""

from __future__ import annotations

from integrations.sandbox.holdings import Holding, Tab, full_name, shortened, tags_tab

from .activities import APPOINTMENT, NOTE_KIND, TASK_KIND
from .leads import KIND


def _lead(held: Holding) -> tuple[str, ...]:
    return (
        full_name(held.record.doc), held.texts("emails"), held.texts("phones"), held.texts("tags"),
        held.named("user", "assignedUserId"), held.text("createTime"),
    )  # fmt: skip


def _appointment(held: Holding) -> tuple[str, ...]:
    return shortened(held.text("content")), held.times, held.buyer, held.text("address")


def _task(held: Holding) -> tuple[str, ...]:
    done = "yes" if held.record.doc["finishFlag"] is True else "no"
    return held.buyer, shortened(held.text("content")), held.text("type"), held.times, done


def _note(held: Holding) -> tuple[str, ...]:
    return held.buyer, shortened(held.text("content")), held.text("createTime")


def _user(held: Holding) -> tuple[str, ...]:
    return full_name(held.record.doc), held.text("email")


TABS = (
    Tab(APPOINTMENT, "Appointments", ("Text", "Starts", "Lead", "Address"), _appointment),
    Tab(KIND, "Leads", ("Name", "E-mail", "Phone", "Tags", "Assigned to", "Created"), _lead),
    Tab(NOTE_KIND, "Notes", ("Lead", "Note", "Added"), _note),
    Tab(TASK_KIND, "Tasks", ("Lead", "Task", "Kind", "When", "Done"), _task),
    tags_tab(),
    Tab("user", "Members", ("Name", "E-mail"), _user),
)
