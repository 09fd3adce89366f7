"""What webhooks missed is mended by what Cal.com's API says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone
from time_machine import travel

from busyblocks.models import BusyBlock
from calendars.models import Meeting
from integrations import tasks
from integrations.calcom import handlers, payloads, reconciliation
from integrations.models import CalcomConnection
from tenancy.models import CrmUser
from tests.integrations.calcom import acme, compact, delivery, moved, user_with_account
from tests.proxy import Canned
from tests.simulators.base import as_html, truncated, without
from tests.simulators.calcom import CalcomSimulator, booking

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def calcom(settings: LazySettings) -> Iterator[CalcomSimulator]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with CalcomSimulator() as simulator, travel(NOON, tick=False):
        settings.CALCOM_API_URL = simulator.url
        CalcomConnection.objects.create(company=acme(), api_key=simulator.api_key)
        yield simulator


@pytest.fixture
def pages_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "PAGE", 10)


@pytest.fixture
def alice() -> CrmUser:
    return user_with_account()


def tell(*documents: dict[str, Any]) -> None:
    """What webhooks did bring."""
    for document in documents:
        now = timezone.now()
        handlers.handle(acme(), payloads.envelope(compact(document)), received_at=now, now=now)


def reconcile() -> tuple[int, int, int]:
    found = reconciliation.reconcile(acme().pk, now=timezone.now())
    assert found.failure == ""
    return found.read, found.mended, found.skipped


def shown() -> list[tuple[Any, ...]]:
    rows = Meeting.objects.order_by("start_time").values_list("status", "start_time__day", "user__unique_id")
    return list(rows)


CREATED = delivery("BOOKING_CREATED", "a")


@pytest.mark.parametrize(
    ("told", "at_calcom", "ends"),
    [
        pytest.param([], booking("a"), ("scheduled", 20, "alice"), id="a booking that nobody told of"),
        pytest.param([CREATED], booking("a", status="cancelled"), ("cancelled", 20, "alice"), id="a cancellation"),
        pytest.param([CREATED], booking("a", status="rejected"), ("cancelled", 20, "alice"), id="a refusal"),
        pytest.param([], booking("a", status="pending"), ("pending", 20, "alice"), id="a request"),
        pytest.param(
            [delivery("BOOKING_REQUESTED", "a")], booking("a"), ("scheduled", 20, "alice"), id="a confirmation"
        ),
        pytest.param(
            [CREATED],
            booking("a", start="2026-03-25T10:00:00Z", end="2026-03-25T11:00:00Z"),
            ("scheduled", 25, "alice"),
            id="a move under the same uid",
        ),
        pytest.param(
            [CREATED],
            booking("b", start="2026-03-25T10:00:00Z", end="2026-03-25T11:00:00Z", rescheduledFromUid="a"),
            ("scheduled", 25, "alice"),
            id="a move to another uid",
        ),
        pytest.param(
            [CREATED],
            booking("a", hosts=[{"email": "bob@acme.example", "name": "Bob"}]),
            ("scheduled", 20, "bob"),
            id="another host",
        ),
    ],
)
def test_what_was_missed_is_mended(
    calcom: CalcomSimulator, alice: CrmUser, told: list[Any], at_calcom: dict[str, Any], ends: tuple[Any, ...]
) -> None:
    user_with_account("bob", "bob@acme.example")
    tell(*told)
    calcom.put(at_calcom)
    assert reconcile() == (1, 1, 0)
    assert shown() == [ends]
    busy = BusyBlock.objects.values_list("user__unique_id", "start_time__day").get()
    assert busy == (ends[2], ends[1])


def test_reading_the_same_again_mends_nothing_and_raises_no_revision(calcom: CalcomSimulator, alice: CrmUser) -> None:
    calcom.put(booking("a"), booking("b", status="cancelled"))
    tell(CREATED)
    reconcile()
    before = CrmUser.objects.get().revision, Meeting.objects.get().updated_at
    assert reconcile() == (2, 0, 0)
    assert (CrmUser.objects.get().revision, Meeting.objects.get().updated_at) == before


def test_cancelled_booking_that_moved_on_takes_nothing_with_it(calcom: CalcomSimulator, alice: CrmUser) -> None:
    tell(CREATED, moved("b", "a", at="10:00", hour=11))
    calcom.put(
        booking("a", status="cancelled", rescheduledToUid="b"),
        booking("b", start="2026-03-21T11:00:00Z", end="2026-03-21T11:30:00Z", rescheduledFromUid="a"),
    )
    reconcile()
    assert shown() == [("scheduled", 21, "alice")]


def test_webhook_that_was_on_its_way_all_the_time_is_older_than_the_reading(
    calcom: CalcomSimulator, alice: CrmUser
) -> None:
    calcom.put(booking("a", title="New"))
    reconcile()
    tell(delivery("BOOKING_CREATED", "a", at="09:00", title="Old"))
    assert Meeting.objects.get().title == "New"


def test_seats_are_as_many_as_the_api_lists(calcom: CalcomSimulator, alice: CrmUser) -> None:
    people = [{"email": f"{name}@example.com", "name": name, "seatUid": name} for name in ("one", "two")]
    calcom.put(booking("a", attendees=people))
    reconcile()
    found = set(Meeting.objects.get().participants.exclude(role="host").values_list("email", flat=True))
    assert found == {"one@example.com", "two@example.com"}


def test_absent_guest_is_marked(calcom: CalcomSimulator, alice: CrmUser) -> None:
    calcom.put(booking("a", attendees=[{"email": "client@example.com", "name": "Client", "absent": True}]))
    reconcile()
    assert Meeting.objects.get().participants.get(email="client@example.com").no_show


def test_all_pages_are_read_from_the_first_day_that_counts(
    calcom: CalcomSimulator, alice: CrmUser, pages_of_ten: None
) -> None:
    start = datetime(2026, 4, 1, tzinfo=UTC)
    calcom.put(
        *(
            booking(
                f"b{n}", start=(start + timedelta(hours=n)).isoformat(), end=(start + timedelta(hours=n)).isoformat()
            )
            for n in range(25)
        ),
        booking("long ago", start="2026-02-01T10:00:00Z", end="2026-02-01T11:00:00Z"),
    )
    assert reconcile() == (25, 25, 0)
    assert len(calcom.asked) == 3


@pytest.mark.parametrize(
    "odd",
    [
        {"uid": None},
        {"status": "unheard of"},
        {"start": "soon"},
        {"end": "2026-03-20T09:00:00Z"},
        {"hosts": "x", "attendees": 7, "guests": {}, "eventType": [], "start": None},
    ],
)
def test_booking_that_makes_no_sense_stops_nobody_elses(
    calcom: CalcomSimulator, alice: CrmUser, odd: dict[str, Any]
) -> None:
    calcom.bookings = {"odd": {**booking("a"), **odd}, "b": booking("b")}
    if "start" in odd:
        # The simulator sorts by start.
        calcom.respond = lambda ask: Canned(  # type: ignore[method-assign]
            200, compact({"data": list(calcom.bookings.values())}), {"Content-Type": "application/json"}
        )
    assert reconcile() == (2, 1, 1)


@pytest.mark.parametrize(
    "fault",
    [Canned(500), Canned(429, headers={"Retry-After": "60"}), Canned(403), truncated, as_html, without("data")],
    ids=["500", "429", "403", "truncated", "a page for people", "without data"],
)
def test_api_that_fails_on_the_second_page_keeps_what_was_mended_and_says_why(
    calcom: CalcomSimulator, alice: CrmUser, pages_of_ten: None, fault: Any
) -> None:
    calcom.put(*(booking(f"b{n}") for n in range(15)))
    calcom.fail(fault, on=2)
    outcome = reconciliation.reconcile(acme().pk, now=timezone.now())
    assert (outcome.read, bool(outcome.failure)) == (10, True)
    connection = CalcomConnection.objects.get()
    assert connection.last_error == outcome.failure
    assert calcom.api_key not in outcome.failure
    assert Meeting.objects.count() == 10
    assert reconcile() == (15, 5, 0)
    assert CalcomConnection.objects.get().last_error == ""


def test_key_that_is_refused_is_said(calcom: CalcomSimulator) -> None:
    CalcomConnection.objects.update(api_key="cal_live_wrong")
    assert "refuses the API key" in reconciliation.reconcile(acme().pk, now=timezone.now()).failure


def test_nothing_that_is_not_listed_is_taken_away(calcom: CalcomSimulator, alice: CrmUser) -> None:
    tell(CREATED)
    assert reconcile() == (0, 0, 0)
    assert shown() == [("scheduled", 20, "alice")]


def test_nightly_task_reads_every_company_with_a_key(calcom: CalcomSimulator, alice: CrmUser) -> None:
    calcom.put(booking("a"))
    assert tasks.reconcile_calcom() == 1
    assert shown() == [("scheduled", 20, "alice")]
    assert CalcomConnection.objects.get().reconciled_at == NOON


def test_company_is_read_at_once_then_every_night_and_once_however_many_ring(
    calcom: CalcomSimulator, alice: CrmUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def due() -> datetime:
        found = CalcomConnection.objects.get().due_at
        assert found is not None
        return found

    assert tasks.reconcile_calcom() == 1
    assert (tasks.reconcile_calcom(), due().day, due().hour) == (0, 11, 3)
    with travel(due(), tick=False):
        monkeypatch.setattr(reconciliation, "ring", lambda *_args, **_options: None)
        # A worker takes it, and is killed.
        assert (tasks.reconcile_calcom(), tasks.reconcile_calcom()) == (1, 0)
    with travel(due(), tick=False):
        assert tasks.reconcile_calcom() == 1


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Canned(500), timedelta(minutes=30)),
        (Canned(429, headers={"Retry-After": "7200"}), timedelta(hours=2)),
        # A new key is needed: nothing hurries.
        (Canned(401), timedelta(hours=15)),
    ],
    ids=["500", "429", "401"],
)
def test_reading_that_failed_is_tried_again_as_soon_as_it_makes_sense(
    calcom: CalcomSimulator, fault: Canned, wait: timedelta
) -> None:
    calcom.fail(fault)
    outcome = reconciliation.reconcile(acme().pk, now=NOON)
    assert outcome.failure
    due = CalcomConnection.objects.get().due_at
    assert due is not None
    assert due.replace(minute=NOON.minute if wait.seconds % 3600 == 0 else due.minute) == NOON + wait


def test_bookings_that_are_moved_or_deleted_while_they_are_read_hide_no_other(
    calcom: CalcomSimulator, alice: CrmUser, pages_of_ten: None
) -> None:
    start = datetime(2026, 4, 1, tzinfo=UTC)
    hours = {f"b{n}": (start + timedelta(hours=n)).isoformat() for n in range(22)}
    calcom.put(*(booking(uid, start=at, end=at) for uid, at in hours.items()))
    respond = calcom.respond

    def meanwhile(ask: Any) -> Canned:
        answer = respond(ask)
        for uid in ("b3", "b7"):
            calcom.bookings.pop(uid, None)
        late = "2026-05-01T10:00:00Z"
        calcom.put(booking("b5", start=late, end=late))
        return answer

    calcom.respond = meanwhile  # type: ignore[method-assign]
    assert reconcile()[2] == 0
    assert Meeting.objects.count() == 22
    assert Meeting.objects.get(uids__uid="b5").start_time.month == 5


def test_listing_of_a_booking_that_waits_for_its_payment_does_not_confirm_it(
    calcom: CalcomSimulator, alice: CrmUser
) -> None:
    tell(delivery("BOOKING_PAYMENT_INITIATED", "a", status="ACCEPTED"))
    calcom.put(booking("a"))
    reconcile()
    assert shown() == [("pending", 20, "alice")]
    tell(delivery("BOOKING_PAID", "a", at="09:05", status="ACCEPTED"))
    assert shown() == [("scheduled", 20, "alice")]


def test_command_says_what_was_mended(calcom: CalcomSimulator, alice: CrmUser) -> None:
    calcom.put(booking("a"))
    out = StringIO()
    call_command("reconcile_calcom", "acme", stdout=out)
    assert out.getvalue() == "acme: 1 bookings read, 1 meetings mended, 0 bookings not understood.\n"
    with pytest.raises(CommandError, match=r"globex has no Cal\.com API key"):
        call_command("reconcile_calcom", "globex")
    calcom.fail(Canned(500))
    with pytest.raises(CommandError, match="acme: "):
        call_command("reconcile_calcom", stdout=out)
