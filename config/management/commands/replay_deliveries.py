"""Have Cal.com deliveries handled again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from config.management.sentences import database_errors_explained
from integrations import deliveries
from integrations.models import DeliveryState, WebhookDelivery


class Command(BaseCommand):
    help = (
        "Have deliveries handled again from the start, in the order in which they came. Safe: handling one twice "
        "changes nothing. Without ids, those that failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="Of the deliveries, as the admin shows them.")
        parser.add_argument("--company", metavar="URL_ID", help="Only deliveries for this company.")
        parser.add_argument("--state", choices=DeliveryState.values, help="Default: failed; with ids, any.")
        parser.add_argument("--trigger", help="Only this trigger, for example BOOKING_CREATED.")
        parser.add_argument("--since", help="Only those that came since: 2026-03-01 or 2026-03-01T12:00:00Z.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how many there are.")

    def handle(self, *_: Any, **options: Any) -> None:
        with database_errors_explained():
            chosen = _chosen(options)
            if options["dry_run"]:
                self.stdout.write(f"Deliveries that would be handled again: {chosen.count()}.")
                return
            count = deliveries.replay_all(chosen, now=timezone.now())
        self.stdout.write(f"Deliveries to be handled again: {count}.")


def _chosen(options: dict[str, Any]) -> QuerySet[WebhookDelivery]:
    rows = WebhookDelivery.objects.all()
    state = options["state"] or ("" if options["ids"] else DeliveryState.FAILED.value)
    if options["ids"]:
        rows = rows.filter(unique_id__in=[_id(text) for text in options["ids"]])
    if state:
        rows = rows.filter(state=state)
    if options["company"]:
        rows = rows.filter(company__url_id=options["company"])
    if options["trigger"]:
        rows = rows.filter(trigger=options["trigger"])
    if options["since"]:
        rows = rows.filter(received_at__gte=_moment(options["since"]))
    return rows


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandError(f"{text!r} is no delivery's id: give the unique id that the admin shows.") from None


def _moment(text: str) -> datetime:
    try:
        found = parse_datetime(text)
        day = parse_date(text) if found is None else None
    except ValueError:
        found = day = None
    if found is None and day is not None:
        found = datetime(day.year, day.month, day.day)
    if found is None:
        raise CommandError(f"--since {text!r} is no time: write 2026-03-01 or 2026-03-01T12:00:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=timezone.get_default_timezone())
