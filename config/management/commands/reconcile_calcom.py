"""Mend what Cal.com's webhooks missed."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from config.management.sentences import database_errors_explained
from integrations.calcom import reconciliation
from integrations.models import CalcomConnection


class Command(BaseCommand):
    help = "Read the bookings of companies with a Cal.com API key, and mend meetings that webhooks missed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("companies", nargs="*", metavar="URL_ID", help="Default: every company with an API key.")

    def handle(self, *_: Any, **options: Any) -> None:
        failed = []
        with database_errors_explained():
            known = dict(CalcomConnection.objects.order_by("pk").values_list("company__url_id", "company"))
            for url_id in options["companies"] or known:
                if url_id not in known:
                    raise CommandError(f"The company {url_id} has no Cal.com API key: give it one in the admin.")
                outcome = reconciliation.reconcile(known[url_id], now=timezone.now())
                self.stdout.write(
                    f"{url_id}: {outcome.read} bookings read, {outcome.mended} meetings mended, "
                    f"{outcome.skipped} bookings not understood."
                )
                if outcome.failure:
                    failed.append(f"{url_id}: {outcome.failure}")
        if failed:
            raise CommandError("\n".join(failed))
