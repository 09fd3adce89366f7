"""What a whole sync asks of Google and of Microsoft: 200 events, nothing new, and two of them changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from calendars.sync import engine
from tenancy.models import CrmUser
from tests.calendars.mirror import synced
from tests.contracts.contract import ALICE
from tests.integrations import google as of_google
from tests.integrations import outlook as of_outlook
from tests.simulators.google import timed

pytestmark = pytest.mark.django_db

EVENTS, CHANGED = 200, 2


@dataclass(frozen=True, slots=True)
class Vendor:
    """asked: the requests that came. put: creates or changes an event. pages: of a first read."""

    account: CalendarAccount
    asked: list[Any]
    put: Callable[[int, str], None]
    pages: int


@pytest.fixture
def google(settings: Settings, alice: CrmUser) -> Iterator[Vendor]:
    with of_google.simulated_google(settings) as running:
        running.calendars.page_sizes = [80, 80]

        def put(number: int, title: str) -> None:
            running.calendars.put(ALICE, f"event{number}", timed("2026-03-02T09:00", summary=title), quietly=True)

        yield Vendor(of_google.connected(running, alice), running.asked, put, pages=3)


@pytest.fixture
def outlook(settings: Settings, alice: CrmUser) -> Iterator[Vendor]:
    with of_outlook.simulated_graph(settings) as running:
        for name, value in of_outlook.where(running).items():
            setattr(settings, name, value)

        def put(number: int, title: str) -> None:
            running.alice.put("work", f"event{number}", "2026-03-02T09:00", subject=title)

        yield Vendor(of_outlook.connected(running, alice), running.asked, put, pages=4)


@pytest.fixture(params=["google", "outlook"])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    found: Vendor = request.getfixturevalue(request.param)
    for number in range(EVENTS):
        found.put(number, f"Event {number}")
    return found


def later() -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False)


def test_first_sync_asks_for_the_list_and_for_each_page_once(vendor: Vendor) -> None:
    assert synced(vendor.account).changes.created == EVENTS
    assert len(vendor.asked) == 1 + vendor.pages


def test_sync_with_nothing_new_asks_once_and_costs_eleven_queries(vendor: Vendor) -> None:
    synced(vendor.account)
    vendor.asked.clear()
    with later(), CaptureQueriesContext(connection) as queries:
        verdict = engine.sync_account(vendor.account.pk, due_at=timezone.now())
    assert verdict is not None
    assert verdict.succeeded
    assert len(vendor.asked) == 1
    assert len(queries) == 11, [query["sql"] for query in queries]


def test_changes_cost_one_request_and_as_many_rows(vendor: Vendor) -> None:
    synced(vendor.account)
    before = set(BusyBlock.objects.values_list("pk", "updated_at"))
    vendor.asked.clear()
    for number in range(CHANGED):
        vendor.put(number, "Changed")
    with later():
        assert synced(vendor.account).changes.updated == CHANGED
    assert len(vendor.asked) == 1
    after = set(BusyBlock.objects.values_list("pk", "updated_at"))
    assert (len(before & after), BusyBlock.objects.filter(title="Changed").count()) == (EVENTS - CHANGED, CHANGED)
