"""Tours, their stops (RESO: showings) and the feedback left after each."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from . import validators
from .base import Record
from .people import Agent, Contact


class TourStatus(models.TextChoices):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class AppointmentStatus(models.TextChoices):
    """RESO ShowingAppointmentStatus."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    DENIED = "denied"
    CANCELLED = "cancelled"


class Outcome(models.TextChoices):
    NONE = "none"
    SHOWED = "showed"
    NO_SHOW = "no_show", "No-show"


class ShowingMethod(models.TextChoices):
    """RESO ShowingAppointmentMethod."""

    IN_PERSON = "in_person"
    VIRTUAL = "virtual"
    OTHER = "other"


class RequestType(models.TextChoices):
    """RESO ShowingRequestType."""

    FIRST = "first"
    SECOND = "second"
    INSPECTION = "inspection"
    WALK_THROUGH = "walk_through", "Walk-through"
    BROKER_PREVIEW = "broker_preview"
    BROKER_PRICE_OPINION = "broker_price_opinion"


LIVE_STATUSES = (AppointmentStatus.PENDING, AppointmentStatus.CONFIRMED)


class Tour(Record):
    """One outing of a buyer and an agent past several listings."""

    reference = models.CharField(
        max_length=64, unique=True, help_text="Your own number for this tour; imports recognise it by this."
    )
    title = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=12, choices=TourStatus, default=TourStatus.SCHEDULED)
    time_zone = models.CharField(
        max_length=64, validators=[validators.time_zone], help_text="IANA name, for example America/Los_Angeles."
    )
    starts_at = models.DateTimeField(help_text="Start of the tour (stored in UTC).")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="tours")
    buyer = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="tours", help_text="The primary buyer.")
    further_buyers = models.ManyToManyField(Contact, blank=True, related_name="further_tours")
    notes = models.TextField(blank=True, help_text="For staff; never sent to a CRM.")
    version = models.PositiveIntegerField(
        default=1, editable=False, help_text="Rises with whatever its summary in a CRM tells."
    )
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-starts_at", "-id"]
        indexes = [
            models.Index(fields=["agent", "starts_at"]),
            models.Index(fields=["starts_at"]),
            models.Index(fields=["updated_at"], name="tour_changed"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=TourStatus.values), name="tour_status_known"),
            models.CheckConstraint(condition=~Q(reference=""), name="tour_reference_given"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.title}".strip()


class TourStopQuerySet(models.QuerySet["TourStop"]):
    def live(self) -> TourStopQuerySet:
        """Stops that should stand in a CRM: pending or confirmed, of a tour that is neither draft nor cancelled."""
        return self.filter(appointment_status__in=LIVE_STATUSES).exclude(
            tour__status__in=(TourStatus.DRAFT, TourStatus.CANCELLED)
        )


class TourStop(Record):
    """One showing: a listing at a time. What every CRM calls an appointment."""

    tour = models.ForeignKey(Tour, on_delete=models.PROTECT, related_name="stops")
    sequence = models.PositiveSmallIntegerField(validators=[validators.sequence])
    listing_key = models.CharField(max_length=80, blank=True)
    listing_id = models.CharField("MLS number", max_length=40, blank=True)
    street = models.CharField(max_length=160)
    city = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=2, blank=True, validators=[validators.us_state])
    postal_code = models.CharField(max_length=10, blank=True, validators=[validators.postal_code])
    latitude = models.DecimalField(
        max_digits=9, decimal_places=6, null=True, blank=True, validators=[validators.latitude]
    )
    longitude = models.DecimalField(
        max_digits=9, decimal_places=6, null=True, blank=True, validators=[validators.longitude]
    )
    list_price = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, validators=[validators.price]
    )
    bedrooms = models.PositiveSmallIntegerField(null=True, blank=True, validators=[validators.rooms])
    bathrooms = models.DecimalField(
        max_digits=4, decimal_places=1, null=True, blank=True, validators=[validators.rooms]
    )
    living_area = models.PositiveIntegerField(
        "living area (sq ft)", null=True, blank=True, validators=[validators.area]
    )
    property_type = models.CharField(max_length=40, blank=True)
    appointment_start = models.DateTimeField()
    appointment_end = models.DateTimeField()
    appointment_status = models.CharField(max_length=10, choices=AppointmentStatus, default=AppointmentStatus.PENDING)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.NONE)
    showing_method = models.CharField(max_length=10, choices=ShowingMethod, default=ShowingMethod.IN_PERSON)
    request_type = models.CharField(max_length=20, choices=RequestType, default=RequestType.FIRST)
    access_instructions = models.TextField(blank=True, help_text="For the agent; never leaves REanna.")
    version = models.PositiveIntegerField(default=1, editable=False)

    objects: ClassVar = TourStopQuerySet.as_manager()

    class Meta:
        ordering = ["tour", "sequence"]
        indexes = [
            models.Index(fields=["appointment_start"]),
            models.Index(fields=["updated_at", "tour"], name="stop_changed"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tour", "sequence"], name="stop_sequence_unique"),
            models.CheckConstraint(
                condition=Q(appointment_end__gt=F("appointment_start")),
                name="stop_ends_after_start",
                violation_error_message="The appointment must end after it starts.",
            ),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="stop_sequence_positive"),
            models.CheckConstraint(condition=~Q(street=""), name="stop_street_given"),
            models.CheckConstraint(
                condition=Q(appointment_status__in=AppointmentStatus.values), name="stop_status_known"
            ),
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="stop_outcome_known"),
            models.CheckConstraint(
                condition=Q(list_price__isnull=True) | Q(list_price__gte=0), name="stop_price_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(latitude__isnull=True) | Q(latitude__gte=-90, latitude__lte=90), name="stop_latitude_range"
            ),
            models.CheckConstraint(
                condition=Q(longitude__isnull=True) | Q(longitude__gte=-180, longitude__lte=180),
                name="stop_longitude_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.street} ({self.sequence})"

    @property
    def live(self) -> bool:
        """Whether a CRM should show this stop as standing; reads the tour."""
        return self.appointment_status in LIVE_STATUSES and self.tour.status not in (
            TourStatus.DRAFT,
            TourStatus.CANCELLED,
        )


class AuthorRole(models.TextChoices):
    BUYER_AGENT = "buyer_agent"
    SHOWING_AGENT = "showing_agent"
    BUYER = "buyer"
    LISTING_AGENT = "listing_agent"


class InterestLevel(models.TextChoices):
    VERY_INTERESTED = "very_interested"
    INTERESTED = "interested"
    UNSURE = "unsure"
    NOT_INTERESTED = "not_interested"
    UNKNOWN = "unknown"


class PriceOpinion(models.TextChoices):
    TOO_LOW = "too_low"
    FAIR = "fair"
    SLIGHTLY_HIGH = "slightly_high"
    TOO_HIGH = "too_high"
    NO_OPINION = "no_opinion"


class SecondShowing(models.TextChoices):
    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


class OfferLikelihood(models.TextChoices):
    WRITING_OFFER = "writing_offer", "Writing an offer"
    LIKELY = "likely"
    UNLIKELY = "unlikely"
    NO = "no"


class FeedbackChannel(models.TextChoices):
    FORM = "form"
    SMS = "sms", "SMS"
    EMAIL = "email", "E-mail"
    PHONE = "phone"
    IMPORT = "import"


class Feedback(Record):
    """What was said after a showing. One answer per stop, author role and time of submission."""

    stop = models.ForeignKey(TourStop, on_delete=models.PROTECT, related_name="feedback")
    author_role = models.CharField(max_length=14, choices=AuthorRole)
    submitted_at = models.DateTimeField()
    channel = models.CharField(max_length=8, choices=FeedbackChannel, default=FeedbackChannel.FORM)
    interest_level = models.CharField(max_length=16, choices=InterestLevel, default=InterestLevel.UNKNOWN)
    overall_rating = models.PositiveSmallIntegerField(null=True, blank=True, validators=[validators.rating])
    price_opinion = models.CharField(max_length=14, choices=PriceOpinion, default=PriceOpinion.NO_OPINION)
    second_showing = models.CharField(max_length=5, choices=SecondShowing, blank=True)
    offer_likelihood = models.CharField(max_length=14, choices=OfferLikelihood, blank=True)
    likes = models.JSONField(default=list, blank=True)
    dislikes = models.JSONField(default=list, blank=True)
    comments = models.TextField(blank=True, max_length=5000)
    share_with_seller = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering = ["-submitted_at", "-id"]
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["stop", "author_role", "submitted_at"], name="feedback_once"),
            models.CheckConstraint(
                condition=Q(overall_rating__isnull=True) | Q(overall_rating__gte=1, overall_rating__lte=5),
                name="feedback_rating_range",
            ),
            models.CheckConstraint(
                condition=Q(interest_level__in=InterestLevel.values), name="feedback_interest_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_interest_level_display()} after {self.stop}"

    @property
    def calls_for_action(self) -> bool:
        """Whether someone should get in touch with the buyer."""
        return (
            self.second_showing == SecondShowing.YES
            or self.interest_level == InterestLevel.VERY_INTERESTED
            or self.offer_likelihood in (OfferLikelihood.WRITING_OFFER, OfferLikelihood.LIKELY)
        )
