"""Offices, agents and buyers."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from . import validators
from .base import Record


class Office(Record):
    """An office of the brokerage; a connection may be limited to one."""

    name = models.CharField(max_length=120, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Agent(Record):
    """A person who shows homes. The e-mail address (compared without case) is the key of imports."""

    name = models.CharField(max_length=120)
    email = models.EmailField(validators=[validators.email])
    mls_id = models.CharField("MLS id", max_length=40, blank=True)
    office = models.ForeignKey(Office, on_delete=models.PROTECT, null=True, blank=True, related_name="agents")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="agent_email_unique"),
        ]

    def __str__(self) -> str:
        return self.name


class Contact(Record):
    """A buyer. Neither e-mail nor phone is unique: couples share both.

    An import matches e-mail, else phone, within the name. `merged_into`: who stands for this buyer since a merge; never
    one that was merged itself.
    """

    first_name = models.CharField(max_length=80, blank=True)
    last_name = models.CharField(max_length=80, blank=True)
    email = models.EmailField(blank=True, validators=[validators.email])
    phone = models.CharField(
        max_length=16, blank=True, validators=[validators.phone], help_text="E.164, for example +19165550123."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="merged"
    )

    class Meta:
        ordering = ["last_name", "first_name", "id"]
        indexes = [
            models.Index(models.functions.Lower("email"), name="contact_email_folded"),
            models.Index(fields=["phone"]),
            models.Index(fields=["last_name", "first_name", "id"], name="contact_by_name"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(email="") | ~Q(phone=""),
                name="contact_reachable",
                violation_error_message="Give an e-mail address or a phone number: a CRM recognises people by them.",
            ),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email or self.phone

    @property
    def survivor(self) -> Contact:
        """Who stands for this buyer: itself, unless it was merged."""
        return self if self.merged_into is None else self.merged_into

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()
