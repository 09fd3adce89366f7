"""A booking over Cal.com, its copy in the host's Google calendar and a block by hand at the same time: one busy time.

All of it as from outside: a signed webhook, a sync over the wire, the API.
"""

from collections.abc import Callable, Iterator
from itertools import permutations

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from busyblocks import prepared
from calendars.models import CalendarAccount
from integrations.models import CalcomSecret
from tenancy.models import Company, CrmUser
from tests.cast import client_for
from tests.contracts.contract import ALICE
from tests.integrations.calcom import delivery, send
from tests.integrations.google import NOW, connected, simulated_google
from tests.simulators.google import GoogleSimulator, timed

pytestmark = pytest.mark.django_db(transaction=True)

UID = "booking-a@Cal.com"
SPAN = "start_time=2026-03-20T00:00:00Z&end_time=2026-03-21T00:00:00Z"
MEETING, COPY, BLOCK = "the meeting", "its copy in Google", "the block by hand"


@pytest.fixture
def google(settings: Settings) -> Iterator[GoogleSimulator]:
    with simulated_google(settings) as running:
        yield running


class Three:
    """The same half hour of alice's, said thrice, and how each of them goes."""

    def __init__(self, acme: Company, alice: CrmUser, google: GoogleSimulator) -> None:
        self.alice, self.google = alice, google
        self.api: APIClient = client_for(acme, "alice")
        self.account: CalendarAccount = connected(google, alice)
        CalcomSecret.objects.create(company=acme, secret="s3cret")
        self.said("BOOKING_CREATED", at="09:00")
        google.put(ALICE, "copied1", timed("2026-03-20T10:00", minutes=30, summary="Consultation", iCalUID=UID))
        body = {"title": "By hand", "start_time": "2026-03-20T10:00:00Z", "end_time": "2026-03-20T10:30:00Z"}
        self.block = self.api.post("/users/alice/busy_blocks", body).json()["data"]["id"]
        self.sync()

    def said(self, trigger: str, *, at: str) -> None:
        assert send(delivery(trigger, "a", at=at, iCalUID=UID), secret="s3cret").status_code == 200

    def take_away(self, name: str) -> None:
        ways: dict[str, Callable[[], object]] = {
            MEETING: lambda: self.said("BOOKING_CANCELLED", at="10:00"),
            COPY: self.delete_copy,
            BLOCK: lambda: self.api.delete(f"/users/alice/busy_blocks/{self.block}"),
        }
        ways[name]()

    def delete_copy(self) -> None:
        self.google.delete(ALICE, "copied1")
        self.sync()

    def sync(self) -> None:
        answer = self.api.post("/users/alice/calendar/sync").json()
        assert answer["data"]["status"] == "completed", answer

    def busy(self) -> list[str]:
        answer = self.api.get(f"/users/alice/free_busy?{SPAN}").json()["data"]["attributes"]["periods"]
        return [f"{period['start_time'][11:16]}-{period['end_time'][11:16]}" for period in answer]

    def standing(self) -> list[str]:
        """What the list shows, copies of meetings left out."""
        blocks = self.api.get(f"/users/alice/busy_blocks?{SPAN}&status=active").json()["data"]
        return sorted(block["attributes"]["source"] for block in blocks)


@pytest.mark.parametrize("order", list(permutations([MEETING, COPY, BLOCK])), ids=" then ".join)
def test_taking_them_away_one_by_one_leaves_the_time_busy_until_the_last_is_gone(
    acme: Company, alice: CrmUser, google: GoogleSimulator, order: tuple[str, ...]
) -> None:
    three = Three(acme, alice, google)
    prepared.prepare(alice.pk, now=NOW)
    assert three.busy() == ["10:00-10:30"]
    assert three.standing() == ["calcom", "manual"]
    for gone, name in enumerate(order, start=1):
        three.take_away(name)
        assert three.busy() == (["10:00-10:30"] if gone < len(order) else []), f"after {name}"
    assert three.standing() == []


def test_meeting_that_was_called_off_gives_its_copy_back(
    acme: Company, alice: CrmUser, google: GoogleSimulator
) -> None:
    three = Three(acme, alice, google)
    three.take_away(MEETING)
    assert three.standing() == ["google", "manual"]
