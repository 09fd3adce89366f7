"""Make a company and its first API key."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from config.management.sentences import database_errors_explained
from integrations.models import CalcomSecret
from tenancy import audit
from tenancy.models import ApiKey, Company, Verb


class Command(BaseCommand):
    help = "Make a company and its first API key, which is the last word printed and cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url_id", help="Stands in addresses: /calendars/<url_id>/ics/…; for example my-company.")
        parser.add_argument("--name", default="", help="How people call the company.")
        parser.add_argument("--calcom-secret", default="", help="What signs the company's Cal.com webhooks.")
        parser.add_argument("--new-key", action="store_true", help="Issue another key for a company that exists.")

    def handle(self, *_: Any, **options: Any) -> None:
        url_id = options["url_id"]
        with database_errors_explained(), transaction.atomic(), audit.acting(audit.shell()):
            if options["new_key"]:
                company = _existing(url_id)
            else:
                company = _made(url_id, options["name"])
                audit.record(company, Verb.CREATED)
                self.stdout.write(f"Made the company {company.url_id}.")
            if options["calcom_secret"]:
                secret = CalcomSecret.objects.create(company=company, secret=options["calcom_secret"])
                audit.record(secret, Verb.CREATED)
                self.stdout.write(
                    f"Cal.com may deliver to {settings.PUBLIC_URL}/calcom/{url_id}/webhook, signed with that secret."
                )
            key = ApiKey.issue(company)
            audit.record(ApiKey.objects.get(digest=ApiKey.digest_of(key)), Verb.CREATED)
        self.stdout.write(f"Its API key, for the AppId header, is shown this once: {key}")


def _existing(url_id: str) -> Company:
    company = Company.objects.filter(url_id=url_id).first()
    if company is None:
        raise CommandError(f"There is no company {url_id}: leave --new-key out to make it.")
    return company


def _made(url_id: str, name: str) -> Company:
    company = Company(url_id=url_id, name=name)
    try:
        company.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise CommandError(f"{url_id!r} cannot be used as {field}: {' '.join(messages)}") from None
    try:
        with transaction.atomic():
            company.save(force_insert=True)
    except IntegrityError:
        raise CommandError(f"The company {url_id} exists already: add --new-key to issue another API key.") from None
    return company
