"""How the service fares, company by company."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from calendars.admin import health
from calendars.models import AccountRun, CalendarAccount
from calendars.services import queues
from config.management.exits import Exit
from config.management.sentences import database_errors_explained
from config.management.tables import table
from integrations.models import DeliveryState, WebhookDelivery
from tenancy.models import Company

# A column for each word, in the order in which they are read: all, well, and what is not.
_WORDS = (health.FINE, health.FAILING, health.RECONNECT, health.HELD, health.WAITING, health.PAUSED)
_NEEDS_A_PERSON = (health.FAILING, health.RECONNECT, health.HELD)


class Command(BaseCommand):
    help = (
        "Show how the accounts of each company fare, what waits, and what needs a person. Exit codes: 0; 1 it cannot "
        "be said; with --check 3 when something needs a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--company", metavar="URL_ID", help="Only this company.")
        parser.add_argument("--check", action="store_true", help="Exit with 3 when something needs a person.")
        parser.add_argument("--json", action="store_true", help="Answer with one JSON object.")

    def handle(self, *_: Any, **options: Any) -> None:
        now = timezone.now()
        with database_errors_explained():
            companies = Company.objects.order_by("url_id")
            if options["company"] is not None:
                companies = companies.filter(url_id=options["company"])
                if not companies:
                    raise CommandError(f"There is no company {options['company']}.")
            rows = _rows(companies)
            waiting = _waiting(companies, now=now)
        if options["json"]:
            self.stdout.write(json.dumps({"companies": rows, **waiting}, indent=2, default=str))
        else:
            self._tell(rows, waiting, now=now)
        if options["check"] and any(row["needs_a_person"] for row in rows):
            raise CommandError("Something needs a person.", returncode=Exit.ATTENTION)

    def _tell(self, rows: list[dict[str, Any]], waiting: dict[str, Any], *, now: datetime) -> None:
        heads = ["company", "accounts", *_WORDS, "last sync", "deliveries waiting", "failed"]
        lines = [
            [
                row["company"],
                row["accounts"],
                *(row["health"][word] for word in _WORDS),
                _ago(row["last_synced_at"], now),
                row["deliveries_waiting"],
                row["deliveries_failed"],
            ]
            for row in rows
        ]
        self.stdout.write(table(heads, lines) if rows else "There is no company yet.")
        since = waiting["due_since"]
        behind = f", the first since {_ago(since, now)}" if since else ""
        self.stdout.write(f"\nAccounts due: {waiting['accounts_due']}{behind}.")
        self.stdout.write(f"Accounts of runs that are not through: {waiting['runs_waiting']}.")
        lengths = waiting["queues"]
        told = ", ".join(f"{name} {count}" for name, count in lengths.items()) if lengths is not None else "not known"
        self.stdout.write(f"Messages in the queues: {told}.")


def _rows(companies: QuerySet[Company]) -> list[dict[str, Any]]:
    """One for each company. Four queries, whatever there is."""
    words: dict[tuple[int, str], int] = {}
    accounts = health.with_word(CalendarAccount.objects.filter(company__in=companies).order_by())
    for company_pk, word, count in accounts.values_list("company", "word").annotate(count=Count("pk")):
        words[company_pk, word] = count
    synced = dict(accounts.values_list("company").annotate(latest=Max("last_synced_at")))
    deliveries: dict[tuple[int, str], int] = {}
    unsettled = WebhookDelivery.objects.filter(
        company__in=companies, state__in=(DeliveryState.RECEIVED, DeliveryState.FAILED)
    ).order_by()
    for company_pk, state, count in unsettled.values_list("company", "state").annotate(count=Count("pk")):
        deliveries[company_pk, state] = count
    return [
        {
            "company": company.url_id,
            "accounts": sum(words.get((company.pk, word), 0) for word in _WORDS),
            "health": {word: words.get((company.pk, word), 0) for word in _WORDS},
            "last_synced_at": synced.get(company.pk),
            "deliveries_waiting": deliveries.get((company.pk, DeliveryState.RECEIVED), 0),
            "deliveries_failed": (failed := deliveries.get((company.pk, DeliveryState.FAILED), 0)),
            "needs_a_person": failed + sum(words.get((company.pk, word), 0) for word in _NEEDS_A_PERSON),
        }
        for company in companies
    ]


def _waiting(companies: QuerySet[Company], *, now: datetime) -> dict[str, Any]:
    due = queues.overdue(CalendarAccount.objects.filter(company__in=companies), now=now)
    return {
        "accounts_due": due.count,
        "due_since": due.since,
        "runs_waiting": queues.unfinished(AccountRun.objects.filter(run__company__in=companies)),
        # Of the whole service: messages do not say whose they are.
        "queues": queues.lengths(),
    }


def _ago(moment: datetime | None, now: datetime) -> str | None:
    """In the largest unit that is not nothing."""
    if moment is None:
        return None
    passed = max(now - moment, timedelta(0))
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if passed >= unit:
            return f"{passed // unit} {name} ago"
    return f"{int(passed.total_seconds())} s ago"
