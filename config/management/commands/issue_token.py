"""Issue a bearer token of the service's own key."""

from datetime import timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from config.management.sentences import database_errors_explained
from tenancy import audit, tokens
from tenancy.callers import Scope
from tenancy.models import MAX_USER_ID, Company, Verb

DEFAULT_DAYS = 90
LONGEST_DAYS = 3650


class Command(BaseCommand):
    help = "Issue a bearer token, which is the last word printed: for one user, or for the company itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url_id", help="The company, for example my-company.")
        parser.add_argument("--user", metavar="ID", help="Speak for this user only (default scopes: read and write).")
        parser.add_argument(
            "--scope",
            action="append",
            choices=[str(scope) for scope in Scope],
            help="May be given several times. Without --user the default is calendars:admin: every user.",
        )
        parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=f"Valid so long; default {DEFAULT_DAYS}.")

    def handle(self, *_: Any, **options: Any) -> None:
        user, days = options["user"], options["days"]
        if not 1 <= days <= LONGEST_DAYS:
            raise CommandError(f"--days takes a number from 1 to {LONGEST_DAYS}.")
        if user is not None and not 1 <= len(user) <= MAX_USER_ID:
            raise CommandError(f"--user takes an id of 1 to {MAX_USER_ID} characters.")
        with database_errors_explained():
            company = Company.objects.filter(url_id=options["url_id"]).first()
        if company is None:
            raise CommandError(f"There is no company {options['url_id']}: make it with manage.py create_company.")
        defaults = [Scope.ADMIN] if user is None else [Scope.READ, Scope.WRITE]
        scopes = [Scope(scope) for scope in options["scope"] or defaults]
        if user is None and Scope.ADMIN not in scopes:
            self.stderr.write("Without --user and calendars:admin the token reaches no user's paths.")
        now = timezone.now()
        lifetime = timedelta(days=days)
        with database_errors_explained(), transaction.atomic(), audit.acting(audit.shell()):
            token = tokens.issue(company, user_unique_id=user, scopes=scopes, lifetime=lifetime, now=now)
            audit.record(company, Verb.ISSUED, "bearer_token", named=user or str(company))
        whose = f"user {user}" if user is not None else "the company"
        self.stdout.write(
            f"A token for {whose} at {company.url_id}, {' '.join(scopes)}, until {now + lifetime:%Y-%m-%d %H:%M} UTC:"
        )
        self.stdout.write(token)
