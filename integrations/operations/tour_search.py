"""Looking for tours by a few letters, and for the operations about tours, as the admin and the API do."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from integrations.models import Agent, Contact, Feedback, Tour, TourStop


def matching(tours: QuerySet[Tour], text: str) -> QuerySet[Tour]:
    """Whose reference or buyer's last name begins so, or whose title or agent's name holds it.

    Agents and buyers are looked through by themselves: joined, each would be compared again for each of its tours.
    """
    agents = Agent.objects.filter(name__icontains=text).order_by().values("pk")
    buyers = Contact.objects.filter(last_name__istartswith=text).order_by().values("pk")
    own = Q(reference__istartswith=text) | Q(title__icontains=text)
    return tours.filter(own | Q(agent__in=agents) | Q(buyer__in=buyers))


def about_tours(tours: QuerySet[Tour]) -> Q:
    """Operations about these tours, which are few: their stops, what was said after them, their buyers. Three queries.

    By ids: of conditions with a query in each, joined by OR, PostgreSQL would ask every operation there is.
    """
    buyers = dict(tours.order_by().values_list("pk", "buyer_id"))
    stops = list(TourStop.objects.filter(tour__in=list(buyers)).order_by().values_list("pk", flat=True))
    answers = list(Feedback.objects.filter(stop__in=stops).order_by().values_list("pk", flat=True))
    return (
        Q(entity_type="tour", entity_id__in=list(buyers))
        | Q(entity_type="stop", entity_id__in=stops)
        | Q(entity_type="feedback", entity_id__in=answers)
        | Q(entity_type="contact", entity_id__in=set(buyers.values()))
    )
