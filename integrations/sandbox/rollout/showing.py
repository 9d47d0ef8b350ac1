"""What the page shows of a Rollout account."""

from __future__ import annotations

from integrations.sandbox.holdings import Holding, Status, Tab, full_name, shortened, tags_tab, utc

from .catalog import FIELD, OUTCOME, TYPE


def _appointment(held: Holding) -> tuple[str, ...]:
    outcome = held.named(OUTCOME, "appointmentOutcomeId")
    return (
        held.text("title"), held.named(TYPE, "appointmentTypeId"), held.times, held.buyer, held.text("location"),
        held.named("user", "userId"), Status(outcome), shortened(held.text("description")),
    )  # fmt: skip


def _person(held: Holding) -> tuple[str, ...]:
    doc = held.record.doc
    reached = [
        ", ".join(str(item["value"]) for item in items if isinstance(item, dict)) if isinstance(items, list) else ""
        for items in (doc.get("emails"), doc.get("phones"))
    ]
    assigned = held.named("user", "assignedUserId")
    return full_name(doc), *reached, held.texts("tags"), assigned, utc(held.text("updated"))


def _note(held: Holding) -> tuple[str, ...]:
    return held.buyer, held.text("subject"), shortened(held.text("body")), utc(held.text("created"))


def _task(held: Holding) -> tuple[str, ...]:
    done = "yes" if held.record.doc.get("isCompleted") is True else "no"
    due, who = held.text("dueDateTime"), held.named("user", "assignedUserId")
    return held.buyer, held.text("name"), held.text("type"), due, who, done


def _user(held: Holding) -> tuple[str, ...]:
    return full_name(held.record.doc), held.text("email")


def _choice(held: Holding) -> tuple[str, ...]:
    return held.text("name"), held.text("orderWeight")


def _field(held: Holding) -> tuple[str, ...]:
    return held.text("label"), held.text("name"), held.text("type"), held.texts("choices")


TABS = (
    Tab(
        "appointment",
        "Appointments",
        ("Title", "Type", "Starts", "Buyer", "Location", "Agent", "Outcome", "Description"),
        _appointment,
    ),
    Tab("contact", "People", ("Name", "E-mail", "Phone", "Tags", "Assigned to", "Changed"), _person),
    Tab("note", "Notes", ("Buyer", "Subject", "Note", "Added"), _note),
    Tab("task", "Tasks", ("Buyer", "Task", "Kind", "Due", "Assigned to", "Done"), _task),
    tags_tab(),
    Tab("user", "Users", ("Name", "E-mail"), _user),
    Tab(TYPE, "Appointment types", ("Name", "Order"), _choice),
    Tab(OUTCOME, "Outcomes", ("Name", "Order"), _choice),
    Tab(FIELD, "Custom fields", ("Label", "Name", "Kind", "Choices"), _field),
)
