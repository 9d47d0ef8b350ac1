"""What the page shows of a Follow Up Boss account."""

from __future__ import annotations

from integrations.sandbox.holdings import Holding, Status, Tab, full_name, shortened, tags_tab, utc

from .catalog import FIELD, OUTCOME, TYPE


def _appointment(held: Holding) -> tuple[str, ...]:
    invitees = held.record.doc.get("invitees")
    users = [one.get("userId") for one in invitees if isinstance(one, dict)] if isinstance(invitees, list) else []
    found = [held.data.get(held.record.provider, "user", str(user)) for user in users if user]
    agents = ", ".join(full_name(user.doc) for user in found if user is not None)
    return (
        held.text("title"), held.named(TYPE, "typeId"), held.times, held.buyer, held.text("location"), agents,
        Status(held.named(OUTCOME, "outcomeId")), shortened(held.text("description")),
    )  # fmt: skip


def _person(held: Holding) -> tuple[str, ...]:
    doc = held.record.doc
    reached = [
        ", ".join(str(item["value"]) for item in items if isinstance(item, dict)) if isinstance(items, list) else ""
        for items in (doc.get("emails"), doc.get("phones"))
    ]
    fields = [f"{name}: {value}" for name, value in doc.items() if name.startswith("custom")]
    assigned = held.named("user", "assignedUserId")
    return (
        full_name(doc),
        *reached,
        held.texts("tags"),
        shortened("\n".join(fields)),
        assigned,
        utc(held.text("updated")),
    )


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
    return (held.text("name"),)


TABS = (
    Tab(
        "appointment",
        "Appointments",
        ("Title", "Type", "Starts", "Buyer", "Location", "Agent", "Outcome", "Description"),
        _appointment,
    ),
    Tab("contact", "People", ("Name", "E-mail", "Phone", "Tags", "Custom fields", "Assigned to", "Changed"), _person),
    Tab("note", "Notes", ("Buyer", "Subject", "Note", "Added"), _note),
    Tab("task", "Tasks", ("Buyer", "Task", "Kind", "Due", "Assigned to", "Done"), _task),
    tags_tab(),
    Tab("user", "Users", ("Name", "E-mail"), _user),
    Tab(TYPE, "Appointment types", ("Name", "Order"), _choice),
    Tab(OUTCOME, "Outcomes", ("Name", "Order"), _choice),
    Tab(FIELD, "Custom fields", ("Name",), _field),
)
