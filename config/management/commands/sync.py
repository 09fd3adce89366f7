"""Have calendars synced now, and watch."""

import json
import time
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from calendars.models import AccountRun, CalendarAccount, RunState, SyncRun
from calendars.services import progress, syncs
from calendars.services.progress import Progress
from config.management.bar import Bar
from config.management.exits import Exit
from config.management.sentences import database_errors_explained
from tenancy.models import Company, CrmUser

_LOOK_SECONDS = 0.5
# How long nobody has to take a run up before it is remarked upon.
_PATIENCE_SECONDS = 15
_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Sync calendars now: those of all companies, of one, of one user, or one account. Waits until it is done, and "
        "sums up. Exit codes: 0 all went well, 1 it could not be started, 3 some accounts failed, 4 it is not done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--company", metavar="URL_ID", help="Only this company's accounts.")
        parser.add_argument("--user", metavar="ID", help="Only this user's, by the CRM's id; needs --company.")
        parser.add_argument("--account", metavar="ID", help="Only this account, by its unique id.")
        parser.add_argument("--full", action="store_true", help="Read everything again, whatever is known already.")
        parser.add_argument(
            "--wait",
            type=int,
            default=3600,
            metavar="SECONDS",
            help="Wait so long, default 3600; 0: only ask for it.",
        )
        parser.add_argument("--json", action="store_true", help="Answer with one JSON object.")

    def handle(self, *_: Any, **options: Any) -> None:
        with database_errors_explained():
            runs = _started(options)
            try:
                self._watch(runs, seconds=options["wait"])
            except KeyboardInterrupt:
                self.stderr.write("Not waiting any longer; the sync itself goes on.")
            outcomes = [_outcome(SyncRun.objects.select_related("company", "user").get(pk=run.pk)) for run in runs]
        if options["json"]:
            self.stdout.write(json.dumps({"runs": outcomes}, indent=2, default=str))
        else:
            self._tell(outcomes)
        states = {outcome["status"] for outcome in outcomes}
        if states & {RunState.QUEUED, RunState.IN_PROGRESS}:
            if options["wait"]:
                raise CommandError("It is not done yet; it goes on by itself.", returncode=Exit.UNFINISHED)
        elif states - {RunState.COMPLETED}:
            raise CommandError("Some accounts could not be synced.", returncode=Exit.ATTENTION)

    def _watch(self, runs: list[SyncRun], *, seconds: int) -> None:
        """Until all are finished, or the time is up."""
        bar, remarked = Bar(), False
        began = time.monotonic()
        while runs:
            now = progress.of([run.pk for run in runs])
            bar.show(now.done, now.accounts, _pace(now))
            waited = time.monotonic() - began
            if now.finished or waited >= seconds:
                break
            if not now.taken_up and not remarked and waited >= _PATIENCE_SECONDS:
                bar.clear()
                self.stderr.write("Nobody has taken it up yet: is a worker running?")
                remarked = True
            time.sleep(min(_LOOK_SECONDS, seconds - waited))
        bar.clear()

    def _tell(self, outcomes: list[dict[str, Any]]) -> None:
        for outcome in outcomes:
            whose = outcome["user"] or "all users"
            self.stdout.write(
                f"{outcome['company']}, {whose}: {outcome['status'].replace('_', ' ')}. "
                f"Accounts: {outcome['accounts_done']} of {outcome['accounts']}, failed: {outcome['accounts_failed']}. "
                f"Events created: {outcome['events_created']}, updated: {outcome['events_updated']}, "
                f"deleted: {outcome['events_deleted']}, withheld: {outcome['events_withheld']}."
            )
            for failure in outcome["failures"]:
                self.stdout.write(f"  {failure['account'] or 'a disconnected account'}: {failure['reason']}")
            unsaid = outcome["accounts_failed"] - len(outcome["failures"])
            if unsaid > 0:
                self.stdout.write(f"  and {unsaid} more")


def _started(options: dict[str, Any]) -> list[SyncRun]:
    """A run for each company, or the one that was asked for. Raises CommandError."""
    url_id, user_id, account_id, full = (options[name] for name in ("company", "user", "account", "full"))
    company = None
    if url_id is not None and (company := Company.objects.filter(url_id=url_id).first()) is None:
        raise CommandError(f"There is no company {url_id}.")
    if account_id is not None:
        if user_id is not None:
            raise CommandError("--account names one account: leave --user out.", returncode=Exit.MISUSED)
        return [syncs.start_for_account(_account(account_id, company), force_refresh=full)]
    if user_id is not None:
        if company is None:
            raise CommandError("--user needs --company: ids are a company's own.", returncode=Exit.MISUSED)
        user = CrmUser.objects.filter(company=company, unique_id=user_id).first()
        if user is None:
            raise CommandError(f"The company {url_id} has no user {user_id}.")
        return [syncs.start_for_user(user, force_refresh=full)]
    companies = [company] if company is not None else list(Company.objects.order_by("url_id"))
    if not companies:
        raise CommandError("There is no company yet: make one with manage.py create_company.")
    return [syncs.start_for_company(each, force_refresh=full) for each in companies]


def _account(unique_id: str, company: Company | None) -> CalendarAccount:
    rows = CalendarAccount.objects.defer("credentials")
    try:
        found = (rows if company is None else rows.filter(company=company)).filter(unique_id=unique_id).first()
    except ValidationError:
        found = None
    if found is None:
        raise CommandError(f"There is no account {unique_id}: give the unique id that the API and the admin show.")
    return found


def _pace(now: Progress) -> str:
    left = now.left(timezone.now())
    rest = "" if left is None or now.finished else f", about {int(left.total_seconds()) + 1} s left"
    return f"accounts, {now.changed} events changed{rest}"


def _outcome(run: SyncRun) -> dict[str, Any]:
    """What came of the run, as JSON has it."""
    now = progress.of([run.pk])
    failed = AccountRun.objects.filter(run=run, status__in=progress.WRONG).select_related("account").order_by("pk")
    return {
        "run": run.unique_id,
        "company": run.company.url_id,
        "user": run.user.unique_id if run.user is not None else None,
        "status": run.status,
        "full": run.force_refresh,
        "accounts": now.accounts,
        "accounts_done": now.done,
        "accounts_failed": now.failed,
        "events_created": now.created,
        "events_updated": now.updated,
        "events_deleted": now.deleted,
        "events_withheld": now.withheld,
        "seconds": round((run.finished_at - run.started_at).total_seconds(), 1) if run.finished_at else None,
        "failures": [
            {"account": str(part.account) if part.account is not None else None, "reason": part.error}
            for part in failed.defer("account__credentials", "account__provider_state")[:_SHOWN]
        ],
    }
