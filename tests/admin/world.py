"""A company with rows of every kind, and the staff who look at them in the admin."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from busyblocks.models import BusyBlock, Origin
from calendars.models import (
    Absence,
    AccountRun,
    Calendar,
    CalendarAccount,
    CalendarRun,
    Meeting,
    MeetingParticipant,
    MeetingUid,
    RunState,
    SyncRun,
    WithheldEvent,
)
from icsfeeds.models import ICSToken
from integrations.models import (
    CalcomConnection,
    CalcomSecret,
    DeliveryState,
    RefusalReason,
    RefusedDeliveries,
    WebhookDelivery,
)
from tenancy.admin.staff import company_administrators
from tenancy.models import ActorKind, ApiKey, AuditEntry, Company, CrmUser, Staff, Verb

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PASSWORD = "only-for-tests-9f2c"
# Each stands in a place where secrets are stored, and on no page.
SECRETS = {
    "credentials": "canary-credential-5b1f",
    "feed token": "canary-feed-token-77aa",
    "Cal.com secret": "canary-calcom-secret-20d4",
    "Cal.com API key": "canary-calcom-key-41d0",
    "provider state": "canary-provider-state-3e3e",
    "remote feed's address": "https://canary-remote-feed.example/private-8c8c.ics",
}
# The site's own models. Participants and uids are parts of their meeting's page.
REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)


def company(url_id: str) -> Company:
    found, _ = Company.objects.get_or_create(url_id=url_id, defaults={"name": url_id.capitalize()})
    return found


def fill(owner: Company, count: int, *, mark: str = "") -> CrmUser:
    """`count` users of the company with one row of every kind each; `mark` stands in every text. The last user."""
    url_id = owner.url_id
    start = CrmUser.objects.filter(company=owner).count()
    for number in range(start, start + count):
        user = CrmUser.objects.create(
            company=owner,
            unique_id=f"{url_id}-user-{number}{mark}",
            name=f"{url_id} user {number}{mark}",
            email=f"user{number}@{url_id}.example",
        )
        _mirror(user, number, mark)
        _feed_and_inbox(user, number, mark)
        Staff.objects.create(
            username=f"{url_id}-staff-{number}", first_name=f"{url_id}{mark}", company=owner, is_staff=True
        )
        ApiKey.issue(owner, label=f"{url_id} key {number}{mark}")
        AuditEntry.objects.create(
            company=owner,
            actor_kind=ActorKind.STAFF,
            actor=f"{url_id}-staff-{number}{mark}",
            verb=Verb.CHANGED,
            target_model="tenancy.company",
            target_id=str(owner.pk),
            target=f"{url_id} target{mark}",
            fields=["name"],
        )
    return user


def _mirror(user: CrmUser, number: int, mark: str) -> None:
    url_id = user.company.url_id
    account = CalendarAccount.objects.create(
        company=user.company,
        user=user,
        provider="ics",
        email=user.email,
        name=f"{url_id} account{mark}",
        identity=f"{url_id}-{number}",
        credentials={"password": SECRETS["credentials"]},
        provider_state={"home": SECRETS["provider state"]},
        connected=True,
        last_error_code="unreachable",
        last_error=f"{url_id} is down{mark}",
    )
    origin = Origin.objects.create(user=user, source="ics", name=f"{url_id} origin{mark}")
    calendar = Calendar.objects.create(
        account=account,
        origin=origin,
        external_id=SECRETS["remote feed's address"],
        name=f"{url_id} calendar{mark}",
        held_count=1,
        last_error=f"{url_id} calendar is down{mark}",
    )
    WithheldEvent.objects.create(calendar=calendar, external_event_id="odd", reason=f"{url_id} oddity{mark}")
    block(user, title=f"{url_id} mirrored{mark}", origin=origin, external_event_id="1", absent_since=MONDAY)
    block(user, title=f"{url_id} by hand{mark}", uid=f"{number}@{url_id}")
    run = SyncRun.objects.create(
        company=user.company, user=user, started_at=MONDAY, accounts_count=1, status=RunState.FAILED
    )
    part = AccountRun.objects.create(run=run, account=account, status=RunState.FAILED, error=f"{url_id} failed{mark}")
    CalendarRun.objects.create(
        part=part,
        calendar=calendar,
        name=f"{url_id} calendar{mark}",
        events_withheld=1,
        withheld=[["odd", f"{url_id} oddity{mark}"]],
        error=f"{url_id} calendar is down{mark}",
        finished_at=MONDAY,
    )
    meeting = Meeting.objects.create(
        company=user.company,
        user=user,
        source="calcom",
        title=f"{url_id} meeting{mark}",
        meeting_url=f"https://meet.example/{url_id}",
        start_time=MONDAY,
        end_time=MONDAY + timedelta(hours=1),
        organizer_name=f"{url_id} organizer{mark}",
    )
    MeetingParticipant.objects.create(meeting=meeting, email="guest@example.org", name=f"{url_id} guest{mark}")
    Absence.objects.create(
        company=user.company,
        user=user,
        source="calcom",
        uid=f"{url_id}-absence-{number}",
        email=user.email,
        title=f"{url_id} away{mark}",
        start_time=MONDAY,
        end_time=MONDAY + timedelta(days=1),
        source_updated_at=MONDAY,
    )
    MeetingUid.objects.create(
        company=user.company, meeting=meeting, source="calcom", uid=f"{url_id}-uid-{number}{mark}"
    )


def _feed_and_inbox(user: CrmUser, number: int, mark: str) -> None:
    url_id = user.company.url_id
    ICSToken.objects.create(
        company=user.company,
        user=user,
        label=f"{url_id} feed{mark}",
        digest=ICSToken.digest_of(f"{url_id}{number}"),
        encrypted_token=SECRETS["feed token"],
    )
    CalcomSecret.objects.create(company=user.company, secret=SECRETS["Cal.com secret"])
    CalcomConnection.objects.get_or_create(
        company=user.company,
        defaults={"api_key": SECRETS["Cal.com API key"], "last_error": f"{url_id} refused{mark}"},
    )
    RefusedDeliveries.objects.get_or_create(
        company=user.company,
        day=MONDAY.date() + timedelta(days=number),
        reason=RefusalReason.WRONG_SIGNATURE,
        defaults={"count": 3, "last_at": MONDAY},
    )
    WebhookDelivery.objects.create(
        company=user.company,
        body=f'{{"triggerEvent": "BOOKING_CREATED", "title": "{url_id} payload{mark}"}}'.encode(),
        signed=True,
        trigger=f"{url_id}-trigger{mark}"[:64],
        state=DeliveryState.FAILED,
        error=f"{url_id} not a booking{mark}",
    )


def block(user: CrmUser, **values: Any) -> BusyBlock:
    """A busy block of the user, on Monday at nine for an hour unless told otherwise."""
    times = {"start_time": MONDAY, "end_time": MONDAY + timedelta(hours=1)}
    return BusyBlock.objects.create(company=user.company, user=user, **{**times, **values})


def operator() -> Client:
    """Signed in as a superuser."""
    return _signed_in(Staff.objects.create_superuser("operator", "operator@example.org", PASSWORD))


def administrator(of: Company) -> Client:
    """Signed in as staff of one company, with everything that its administrators may do."""
    staff = Staff.objects.create_user(f"admin-of-{of.url_id}", password=PASSWORD, company=of, is_staff=True)
    staff.groups.add(company_administrators())
    return _signed_in(staff)


def _signed_in(staff: Staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row: Model, page: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])


def act(client: Client, name: str, *rows: Model, **values: str) -> Any:
    """Choose the rows in their list and run the action, as the list's form does; the page that follows."""
    body = {"action": name, "_selected_action": [str(row.pk) for row in rows], "index": "0", "select_across": "0"}
    return client.post(list_of(type(rows[0])), {**body, **values}, follow=True)


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]
