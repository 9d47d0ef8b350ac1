"""What /api/contacts/{id}/merge takes and shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from integrations.models import Contact
from integrations.operations import merging
from integrations.operations.audit import Who
from integrations.operations.merge_plan import FIELDS, FOREVER, PICKS, Links, MergePlan, plan_merge

from .examples import MERGE
from .fields import Id, Instant, Shown
from .problems import invalid, refused, renamed

CONTACT_FIELDS = FIELDS
_TEXTS = {"type": "array", "items": {"type": "string"}}


class ContactShown(Shown):
    """A buyer. `merged_into_id`: who stands for this one since a merge."""

    merged_into_id = Id(allow_null=True)
    archived_at = Instant(allow_null=True)
    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Contact
        fields = ("id", *CONTACT_FIELDS, "merged_into_id", "archived_at", "created_at", "updated_at")


class PicksGiven(serializers.Serializer[Any]):
    """For each field where both have a value and they differ: whose stays. Not given: the survivor's."""

    first_name = serializers.ChoiceField(PICKS, required=False)
    last_name = serializers.ChoiceField(PICKS, required=False)
    email = serializers.ChoiceField(PICKS, required=False)
    phone = serializers.ChoiceField(PICKS, required=False)


@extend_schema_serializer(examples=[MERGE])
class MergeGiven(serializers.Serializer[Any]):
    """Into whom the buyer of the address is merged, and which values stay."""

    into = Id(help_text="The buyer who stays and stands for both.")
    reason = serializers.CharField(max_length=200, required=False, help_text="Why; for the audit trail.")

    def get_fields(self) -> dict[str, Any]:
        """`fields` is a name that serializers keep for themselves."""
        return {**super().get_fields(), "fields": PicksGiven(required=False)}


class FieldShown(serializers.Serializer[Any]):
    """One field of both. `asked`: both have a value and they differ, so that one is picked."""

    name = serializers.CharField()
    survivor = serializers.CharField(allow_blank=True)
    merged = serializers.CharField(allow_blank=True)
    asked = serializers.BooleanField()


class ThereShown(serializers.Serializer[Any]):
    """What the merge means in one CRM. `under`: records that stay under the merged one's person there."""

    connection_id = Id()
    connection_label = serializers.CharField(source="label")
    links = serializers.ChoiceField([name.value for name in Links])
    survivor_external_id = serializers.CharField(source="survivor_id", allow_blank=True)
    merged_external_id = serializers.CharField(source="merged_id", allow_blank=True)
    under = serializers.IntegerField()
    left_out = serializers.CharField(allow_blank=True)
    cancelled = serializers.IntegerField()
    says = serializers.SerializerMethodField()

    @extend_schema_field(_TEXTS)
    def get_says(self, there: Any) -> list[str]:
        """The same in words."""
        return list(there.says)


class MergePlanShown(serializers.Serializer[Any]):
    """What a merge would do now; nothing is done. Its ETag is what a merge is confirmed by."""

    survivor = ContactShown()
    merged = ContactShown()
    tours = serializers.IntegerField()
    further_tours = serializers.IntegerField(source="further")
    feedback = serializers.IntegerField()
    import_items = serializers.IntegerField()
    operations_ended = serializers.IntegerField(source="ended")
    values = FieldShown(source="fields", many=True)
    connections = ThereShown(source="places", many=True)
    says = serializers.SerializerMethodField()
    refusals = serializers.SerializerMethodField()

    @extend_schema_field(_TEXTS)
    def get_says(self, plan: MergePlan) -> list[str]:
        """What comes to the survivor, in words."""
        return [*plan.moves, FOREVER]

    @extend_schema_field(_TEXTS)
    def get_refusals(self, plan: MergePlan) -> list[str]:
        """Why it cannot be done just now; empty when it can."""
        return list(plan.refusals)


def planned(merged_id: int, into: Any) -> MergePlan:
    """The plan. Raises a 400 naming `into`, Contact.DoesNotExist for the buyer of the address, NotPossible."""
    if into is None:
        raise refused("into", "Give the id of the buyer who stays.", "required")
    Contact.objects.only("pk").get(pk=merged_id)
    try:
        return plan_merge(merged_id, into)
    except ValidationError as error:
        raise invalid(renamed(error, {})) from None
    except Contact.DoesNotExist:
        raise refused("into", f"There is no contact {into}.") from None


def merged(plan: MergePlan, picks: Mapping[str, Any], seen: str | None, by: Who) -> Contact:
    """The survivor. Raises a 400 naming each field, NotPossible, Stale."""
    try:
        return merging.merge(plan.merged.pk, plan.survivor.pk, by, picks=picks, seen=seen).survivor
    except ValidationError as error:
        raise invalid(renamed(error, {}, "fields.")) from None
