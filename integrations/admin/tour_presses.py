"""The buttons of a tour's page: one press each, and undo. What takes an appointment out of a CRM asks first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.models import AuditEvent, Tour, TourStop
from integrations.operations import deletion, moments, one_click, tours, undo
from integrations.operations.one_click import BULK_VERBS, STOP_VERBS, TOUR_VERBS, Pressed, Verb
from integrations.operations.refusals import NotPossible
from integrations.operations.tour_state import zone_of

from .pages import Deletable, Question, ReasonForm, ask, view_path, who

Press = Callable[[datetime], Pressed]


class TourPresses(Deletable):
    """The views behind the buttons. A GET asks, so that a link that lost its form (a new sign-in) does no harm."""

    def press_urls(self) -> list[Any]:
        return [
            # The longest first: a record's id may hold slashes for all that Django's pattern knows.
            view_path(self, "stop/<int:stop_id>/do/<slug:verb>", self.stop_press_view, "press_stop"),
            view_path(self, "stop/<int:stop_id>/shift/<slug:way>", self.stop_shift_view, "shift_stop"),
            view_path(self, "stop/<int:stop_id>/delete", self.stop_delete_view, "delete_stop"),
            view_path(self, "do/<slug:verb>", self.tour_press_view, "press"),
            view_path(self, "stops/<slug:verb>", self.stops_press_view, "press_stops"),
            view_path(self, "cancel", self.cancel_view, "cancel"),
            view_path(self, "undo/<int:event_id>", self.undo_view, "undo"),
        ]

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Cancel the whole tour; always asks."""
        return self.tour_press_view(request, object_id, "cancel")

    def tour_press_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Complete, reopen or cancel a tour."""
        chosen = _known(TOUR_VERBS, verb)
        tour = self._changeable(request, object_id)
        if tour is None:
            return self.gone(request, object_id)

        def press(now: datetime, reason: str = "") -> Pressed:
            return one_click.press_tour(tour.pk, verb, who(request, reason), now=now)

        stops = list(tour.stops.order_by("sequence"))
        if chosen.ends:
            says = ("Each of its appointments that stands in a CRM is cancelled there.", "Its stops keep their status.")
            title = f"{chosen.label} “{tour}”?"
            return self._asked(request, tour, chosen, title, (*says, _undo_words()), stops, press)
        title = f"{chosen.label} “{tour}”?"
        return self._pressed(request, tour, chosen, title, press)

    def stops_press_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """One verb on all stops it is meant for."""
        chosen = _known(BULK_VERBS, verb)
        tour = self._changeable(request, object_id)
        if tour is None:
            return self.gone(request, object_id)

        def press(now: datetime) -> Pressed:
            return one_click.press_all(tour.pk, verb, who(request), now=now)

        return self._pressed(request, tour, chosen, f"{chosen.label} of “{tour}”?", press)

    def stop_press_view(self, request: HttpRequest, object_id: str, stop_id: int, verb: str) -> HttpResponse:
        """One verb on one stop; asks when the stop stands in a CRM and would not any more."""
        chosen = _known(STOP_VERBS, verb)
        tour, stop = self._stop_of(request, object_id, stop_id)
        if tour is None or stop is None:
            return self.gone(request, object_id)

        def press(now: datetime, reason: str = "") -> Pressed:
            return one_click.press_stop(tour.pk, stop.pk, verb, who(request, reason), now=now)

        title = f"{chosen.label} stop {stop.sequence}, {stop.street}?"
        if chosen.ends and one_click.stands_at([stop]):
            if request.method == "POST" and "reason" not in request.POST:
                # A button from before the stop stood there: now it is asked about.
                return HttpResponseRedirect(request.path)
            says = ("The appointment is cancelled in each CRM where it stands.", _undo_words())
            return self._asked(request, tour, chosen, title, says, [stop], press)
        return self._pressed(request, tour, chosen, title, press)

    def stop_shift_view(self, request: HttpRequest, object_id: str, stop_id: int, way: str) -> HttpResponse:
        """One place up or down in the tour."""
        if way not in ("up", "down"):
            raise Http404("There is no such action.")
        tour, stop = self._stop_of(request, object_id, stop_id)
        if tour is None or stop is None:
            return self.gone(request, object_id)

        def act() -> str:
            by = who(request)
            done = tours.shift_stop(stop.pk, earlier=way == "up", actor=by.actor, via=by.via)
            return f"{stop.street} changed places; the CRMs follow." if done else f"{stop.street} is there already."

        return self._act(request, tour, f"Move {way}", f"Move {stop.street} one place {way}?", act)

    def stop_delete_view(self, request: HttpRequest, object_id: str, stop_id: int) -> HttpResponse:
        """Delete a stop that no CRM can know of."""
        tour, stop = self._stop_of(request, object_id, stop_id)
        if tour is None or stop is None:
            return self.gone(request, object_id)

        def act(_form: forms.Form) -> str:
            by = who(request)
            try:
                deletion.delete_stop(stop.pk, actor=by.actor, via=by.via)
            except (Tour.DoesNotExist, TourStop.DoesNotExist):
                raise NotPossible("It was deleted meanwhile.") from None
            return f"{stop} was deleted."

        says = (
            "It is deleted for good, if no CRM knows of it.",
            "A stop that a CRM may know of is refused: cancel it.",
        )
        question = Question(f"Delete stop {stop}?", "Delete stop", says, act, danger=True)
        return ask(self, request, tour, question, self.change_url(tour.pk))

    def undo_view(self, request: HttpRequest, object_id: str, event_id: int) -> HttpResponse:
        """Take the newest change back while no CRM was told."""
        tour = self._changeable(request, object_id)
        if tour is None:
            return self.gone(request, object_id)
        event = AuditEvent.objects.filter(object_type="tour", object_id=tour.pk)
        if event_id >= 2**63 or not event.filter(pk=event_id).exists():
            self.message_user(request, "There is no such change of this tour.", messages.WARNING)
            return HttpResponseRedirect(self.change_url(tour.pk))

        def act() -> str:
            done = undo.undo(event_id, who(request))
            return "Undone: it is as it was before." if done.changed else "It was undone already."

        return self._act(request, tour, "Undo", f"Undo the last change of “{tour}”?", act)

    # --- how a press goes ---------------------------------------------------------------------------------------

    def _changeable(self, request: HttpRequest, object_id: str) -> Any:
        tour = self.found(request, object_id)
        if tour is not None and not self.has_change_permission(request, tour):
            raise PermissionDenied
        return tour

    def _stop_of(self, request: HttpRequest, object_id: str, stop_id: int) -> tuple[Any, TourStop | None]:
        tour = self._changeable(request, object_id)
        known = tour is not None and stop_id < 2**63
        return tour, TourStop.objects.filter(pk=stop_id, tour=tour).first() if known else None

    def _pressed(self, request: HttpRequest, tour: Tour, verb: Verb, title: str, press: Press) -> HttpResponse:
        def act() -> str:
            return told(request, tour, press(timezone.now()), verb)

        return self._act(request, tour, verb.label, title, act, (_undo_words(),))

    def _act(
        self,
        request: HttpRequest,
        tour: Tour,
        label: str,
        title: str,
        act: Callable[[], str],
        says: Sequence[str] = (),
    ) -> HttpResponse:
        """POST does it and goes back to the tour's page, whatever came of it; GET asks."""
        back = self.change_url(tour.pk)
        if request.method != "POST":
            return ask(self, request, tour, Question(title, label, says, lambda _form: act()), back)
        try:
            self.message_user(request, act(), messages.SUCCESS)
        except NotPossible as error:
            self.message_user(request, str(error), messages.WARNING)
        except (Tour.DoesNotExist, TourStop.DoesNotExist):
            self.message_user(request, "It was deleted meanwhile.", messages.WARNING)
        return HttpResponseRedirect(back)

    def _asked(
        self,
        request: HttpRequest,
        tour: Tour,
        verb: Verb,
        title: str,
        says: Sequence[str],
        stops: Sequence[TourStop],
        press: Callable[[datetime, str], Pressed],
    ) -> HttpResponse:
        """The page that lists what will happen."""

        def act(form: forms.Form) -> str:
            try:
                return told(request, tour, press(timezone.now(), form.cleaned_data["reason"]), verb)
            except (Tour.DoesNotExist, TourStop.DoesNotExist):
                raise NotPossible("It was deleted meanwhile.") from None

        standing = [f"{stop}: {label}, appointment {at}" for stop, label, at in one_click.stands_at(stops)]
        items = standing or [str(stop) for stop in stops]
        question = Question(title, verb.label, says, act, items=items, danger=True, form=ReasonForm)
        return ask(self, request, tour, question, self.change_url(tour.pk))


def _known(verbs: dict[str, Verb], slug: str) -> Verb:
    if slug not in verbs:
        raise Http404("There is no such action.")
    return verbs[slug]


def _undo_words() -> str:
    seconds = one_click.undo_seconds()
    if not seconds:
        return "It can be undone on the tour's page until the CRMs were told."
    return f"Nothing is sent for {seconds} s; until then it can be undone on the tour's page."


def told(request: HttpRequest, tour: Tour, pressed: Pressed, verb: Verb) -> SafeString | str:
    """What a press did, who will be told and until when it can be undone, with the button for that."""
    if pressed.event_id is None:
        return f"{verb.label}: nothing to do, it was so already."
    what = str(tour)
    if verb.field != "status":
        streets = [stop.street for stop in pressed.stops]
        what = streets[0] if len(streets) == 1 else f"{len(streets)} stops"
    if not pressed.crms:
        crms = "No CRM has to be told."
    else:
        crms = f"{pressed.crms} CRM{'' if pressed.crms == 1 else 's'} will be told"
        when = moments.clock(moments.at_ms(pressed.until_ms), zone_of(tour)) if pressed.until_ms else ""
        crms += f", not before {when}; until then it can be undone." if when else "."
    return format_html("{}: {}. {} {}", verb.done, what, crms, undo_form(request, tour, pressed.event_id))


def undo_form(request: HttpRequest, tour: Tour, event_id: int) -> SafeString:
    """The Undo button, wherever on the tour's page."""
    return format_html(
        '<form class="rr-inline" method="post" action="{}"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<button class="button rr-small">Undo</button></form>',
        reverse("admin:integrations_tour_undo", args=[tour.pk, event_id]),
        get_token(request),
    )
