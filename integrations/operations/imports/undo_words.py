"""What taking an import back would do, in words."""

from __future__ import annotations

from .undo_plan import UndoPlan

SHOWN = 200
"""So many records are named."""


def sentences(plan: UndoPlan) -> list[str]:
    """A plan in words."""
    said = [f"Appointments cancelled in {label}: {number}." for label, number in plan.appointments.items()]
    counts = (
        (len(plan.cancel), "Tours that it created, cancelled and archived"),
        (len(plan.restore), "Tours that it changed, put back as they were"),
        (plan.feedback_deleted, "Answers that it brought and no CRM knows of, deleted"),
        (plan.feedback_restored, "Answers that it changed, put back (the CRMs follow)"),
        (plan.contacts_archived, "Buyers that it created, archived (who is in a CRM already stays there)"),
        (plan.contacts_kept, "Buyers that it created and others use, who stay"),
        (plan.agents_kept, "Agents that it created, who stay"),
        (len(plan.left), "Records left as they are, because someone changed them since or a CRM knows of them"),
    )
    said += [f"{words}: {number}." for number, words in counts if number]
    if plan.empty:
        said.insert(0, "There is nothing to take back; the import will be marked as taken back.")
    return said


def names(plan: UndoPlan) -> list[str]:
    """What is concerned, by name: what is left first, since people must look at it."""
    found = [
        *(f"Left: {line}" for line in plan.left),
        *(f"Buyer stays: {line}" for line in plan.contacts_left),
        *(f"Cancelled and archived: {name}" for name in plan.cancel),
        *(f"Put back: {name}" for name in plan.restore),
    ]
    return found[:SHOWN] + ([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])
