"""What the page shows of a GoHighLevel location."""

from __future__ import annotations

from integrations.sandbox.holdings import Holding, Status, Tab, full_name, shortened, tags_tab, utc

from .locations import FIELD


def _appointment(held: Holding) -> tuple[str, ...]:
    status = Status(held.text("appointmentStatus"))
    who = held.named("user", "assignedUserId")
    return held.text("title"), status, held.times, held.buyer, held.text("address"), who


def _contact(held: Holding) -> tuple[str, ...]:
    fields = held.record.doc.get("customFields")
    values = []
    for item in fields if isinstance(fields, list) else []:
        field = held.data.get(held.record.provider, FIELD, str(item["id"]))
        values.append(f"{field.doc['name'] if field else item['id']}: {item['value']}")
    return (
        full_name(held.record.doc), held.text("email"), held.text("phone"), held.texts("tags"),
        shortened("\n".join(values)), utc(held.text("dateUpdated")),
    )  # fmt: skip


def _note(held: Holding) -> tuple[str, ...]:
    who = held.named("user", "userId")
    return held.buyer, held.text("title"), shortened(held.text("body")), who, utc(held.text("dateAdded"))


def _task(held: Holding) -> tuple[str, ...]:
    done = "yes" if held.record.doc["completed"] is True else "no"
    who = held.named("user", "assignedTo")
    return held.buyer, held.text("title"), shortened(held.text("body")), held.text("dueDate"), who, done


def _field(held: Holding) -> tuple[str, ...]:
    return held.text("name"), held.text("fieldKey"), held.text("dataType"), held.text("model")


def _user(held: Holding) -> tuple[str, ...]:
    return full_name(held.record.doc), held.text("email")


TABS = (
    Tab("appointment", "Appointments", ("Title", "Status", "Starts", "Buyer", "Address", "Agent"), _appointment),
    Tab("contact", "Contacts", ("Name", "E-mail", "Phone", "Tags", "Custom fields", "Changed"), _contact),
    Tab("note", "Notes", ("Buyer", "Title", "Note", "By", "Added"), _note),
    Tab("task", "Tasks", ("Buyer", "Task", "Text", "Due", "Assigned to", "Done"), _task),
    tags_tab(),
    Tab(FIELD, "Custom fields", ("Name", "Key", "Kind", "Of"), _field),
    Tab("user", "Users", ("Name", "E-mail"), _user),
)
