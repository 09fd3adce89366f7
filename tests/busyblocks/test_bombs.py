"""Rules and series made to cost: each is refused with its reason, or bounded by counted steps of work."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from busyblocks import density, prepared, rules
from busyblocks.models import BusyBlock, Occurrence, Origin, Source
from busyblocks.recurrence import SERIES_STEPS
from integrations.ical import NotUnderstood, Reader
from tenancy.models import Company, CrmUser
from tests.busyblocks.rows import at, timed, write
from tests.cast import client_for
from tests.contracts.contract import event

BLOCKS = "/users/alice/busy_blocks"
YEAR = "start_time=2026-03-01&end_time=2027-03-01"
BLOCK = {"start_time": "2026-03-02T09:00:00", "end_time": "2026-03-02T09:30:00", "time_zone": "Europe/Berlin"}
HOURS = ",".join(map(str, range(24)))
WEEKDAYS = "MO,TU,WE,TH,FR,SA,SU"
YEAR_DAYS = ",".join(map(str, range(1, 367)))
# A year of the densest series there may be, every day of it looked at, every instance made and shown.
FEW = 4 * 366 * density.MAX_PER_DAY


@pytest.fixture(autouse=True)
def _march() -> Iterator[None]:
    with time_machine.travel(at("2026-03-01 00:00"), tick=False):
        yield


@pytest.fixture
def api(acme: Company, alice: CrmUser) -> APIClient:
    return client_for(acme, "alice")


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every step that is paid for, whoever's budget it is."""
    steps: list[int] = []
    spend = rules.Budget.spend

    def counted(self: rules.Budget, number: int = 1) -> None:
        steps.append(number)
        spend(self, number)

    monkeypatch.setattr(rules.Budget, "spend", counted)
    # What another test had found out is not known here.
    rules.last.cache_clear()
    return steps


REFUSED = [
    ("every second", "FREQ=SECONDLY"),
    ("every minute", "FREQ=MINUTELY"),
    ("every minute, of some days", "FREQ=MINUTELY;BYDAY=MO;BYMONTH=2;COUNT=5"),
    ("every hour for ever", "FREQ=HOURLY"),
    ("every hour of the day, in other words", f"FREQ=DAILY;BYHOUR={HOURS}"),
    ("and by the week", f"FREQ=YEARLY;BYWEEKNO={','.join(map(str, range(1, 54)))};BYDAY={WEEKDAYS};BYHOUR={HOURS}"),
    ("and every second of it", f"FREQ=DAILY;BYHOUR={HOURS};BYMINUTE={','.join(map(str, range(60)))}"),
    ("every five minutes of an hour", "FREQ=DAILY;BYHOUR=9;BYMINUTE=0,5,10,15,20,25,30,35,40,45,50,55,59"),
    ("a COUNT of a billion", "FREQ=DAILY;COUNT=1000000000"),
    ("a COUNT that is walked", "FREQ=DAILY;BYDAY=MO;COUNT=999999"),
    ("an INTERVAL of a billion", "FREQ=DAILY;INTERVAL=1000000000"),
    ("30 February, twice", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2"),
    ("30 February by the week, twice", "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30;BYDAY=MO;COUNT=2"),
    ("30 February by the hour, twice", "FREQ=HOURLY;INTERVAL=6;BYMONTH=2;BYMONTHDAY=30;COUNT=2"),
    ("week 53 in June, twice", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=6;COUNT=2"),
    ("the 53rd Monday of January, twice", "FREQ=YEARLY;BYDAY=53MO;BYMONTH=1;COUNT=2"),
    ("one of 4,392 each year",
     f"FREQ=YEARLY;BYYEARDAY={YEAR_DAYS};BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11;BYSETPOS=-1;COUNT=99"),
    ("100 KB of weekdays", "FREQ=WEEKLY;BYDAY=" + ",".join(["MO"] * 33_000)),
    ("100 KB of semicolons", "FREQ=WEEKLY" + ";" * 100_000),
    ("100 KB of one number", "FREQ=DAILY;INTERVAL=" + "9" * 100_000),
    ("another calendar", "RSCALE=HEBREW;FREQ=YEARLY"),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "rule"), REFUSED, ids=[row[0] for row in REFUSED])
def test_bomb_is_refused_with_its_reason_before_it_costs(
    api: APIClient, spent: list[int], sentence: str, rule: str
) -> None:
    response = api.post(BLOCKS, {**BLOCK, "recurrence_rule": rule})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["source"]["pointer"] == "/data/attributes/recurrence_rule"
    assert len(error["detail"]) < 300
    assert sum(spent) <= SERIES_STEPS + 10_000
    assert not BusyBlock.objects.exists()


BOUNDED = [
    ("30 February, without an end", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
    ("30 February, by the year", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=3"),
    ("day 366 in January", "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1"),
    ("a place that no day has", "FREQ=DAILY;BYSETPOS=366"),
    ("every day by every way to say so", f"FREQ=YEARLY;BYYEARDAY={YEAR_DAYS};BYDAY={WEEKDAYS}"),
    ("twelve times a day, as often as may be", "FREQ=HOURLY;INTERVAL=2"),
    ("nine hours of each working day", "FREQ=HOURLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=9,10,11,12,13,14,15,16,17"),
    ("rarely", "FREQ=YEARLY;INTERVAL=999999"),
    ("the last of all days", "FREQ=DAILY;UNTIL=99991231T235959Z"),
]


@pytest.mark.parametrize(("sentence", "rule"), BOUNDED, ids=[row[0] for row in BOUNDED])
def test_strange_rule_costs_writers_and_readers_few_steps(
    api: APIClient, spent: list[int], sentence: str, rule: str
) -> None:
    assert api.post(BLOCKS, {**BLOCK, "recurrence_rule": rule}).status_code == 201
    for path in (f"/users/alice/free_busy?{YEAR}", f"{BLOCKS}?{YEAR}", f"{BLOCKS}?{YEAR}&expand=true"):
        assert sum(spent) <= SERIES_STEPS
        spent.clear()
        assert api.get(path).status_code == 200
        assert sum(spent) <= FEW, path


DATES = [
    ("more RDATEs than a body may hold", {"rdates": ["2026-03-03T09:00:00Z"] * 1001}, "rdates"),
    ("more EXDATEs", {"exdates": ["2026-03-03T09:00:00Z"] * 1001}, "exdates"),
    ("an RDATE of 100 KB", {"rdates": ["2" * 100_000]}, "rdates"),
]


@pytest.mark.parametrize(("sentence", "dates", "field"), DATES, ids=[row[0] for row in DATES])
def test_dates_beyond_bounds_are_refused(api: APIClient, sentence: str, dates: dict[str, Any], field: str) -> None:
    response = api.post(BLOCKS, {**BLOCK, "recurrence_rule": "FREQ=DAILY", **dates})
    assert response.status_code == 422
    assert response.json()["errors"][0]["source"]["pointer"] == f"/data/attributes/{field}"


def test_single_dates_are_paid_for_by_each_reader(api: APIClient, alice: CrmUser, spent: list[int]) -> None:
    rdates = tuple(f"203001{day:02}T{hour:02}0000Z" for day in range(1, 31) for hour in range(9, 18))
    write(alice, *(timed("2026-03-02 09:00", uid=f"u{number}", rdates=rdates) for number in range(3)))
    assert api.get(f"/users/alice/free_busy?{YEAR}").status_code == 200
    assert sum(spent) >= 3 * len(rdates)


def test_dense_series_of_one_user_are_bounded_together(api: APIClient) -> None:
    dense = {**BLOCK, "recurrence_rule": "FREQ=HOURLY;INTERVAL=2"}
    made = [api.post(BLOCKS, dense).status_code for _ in range(density.MAX_PER_DAY_OF_USER // density.MAX_PER_DAY)]
    assert set(made) == {201}
    refused = api.post(BLOCKS, dense)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["source"]["pointer"] == "/data/attributes/recurrence_rule"
    # Ordinary ones are not counted; and a dense one may become another.
    assert api.post(BLOCKS, {**BLOCK, "recurrence_rule": "FREQ=DAILY"}).status_code == 201
    one = str(BusyBlock.objects.filter(recurrence_rule__contains="HOURLY").first().unique_id)
    assert api.put(f"{BLOCKS}/{one}", {"title": "x"}).status_code == 200
    assert api.put(f"{BLOCKS}/{one}", {"recurrence_rule": "FREQ=HOURLY;INTERVAL=3"}).status_code == 200


def test_mirrored_series_beyond_all_bounds_end_in_a_422_not_in_a_wait(
    api: APIClient, alice: CrmUser, spent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is smaller here than in life: the budget of a question, and what may be prepared."""
    origin = Origin.objects.create(user=alice, source=Source.ICS)
    for number in range(6):
        write(alice, timed("2026-03-02 09:00", uid=f"u{number}", rule="FREQ=HOURLY"), origin=origin)
    monkeypatch.setattr("busyblocks.prepared._MOST", 5_000)
    assert prepared.prepare(alice.pk, now=at("2026-03-01 00:00")) == 0
    assert not Occurrence.objects.exists()
    assert sum(spent) < 40_000, "preparation stops where there is no more room"
    for module in ("taken", "shown"):
        monkeypatch.setattr(f"busyblocks.{module}.REQUEST_STEPS", 20_000)
    for path in (f"/users/alice/free_busy?{YEAR}", f"{BLOCKS}?{YEAR}&expand=true"):
        spent.clear()
        response = api.get(path)
        assert response.status_code == 422
        assert response.json()["errors"][0]["source"]["parameter"] == "end_time"
        assert sum(spent) < 30_000
    assert api.get("/users/alice/free_busy?start_time=2026-03-02&end_time=2026-03-05").status_code == 200


WITHHELD = [
    ("every second", "FREQ=SECONDLY", "SECONDLY"),
    ("30 February, twice", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2", "COUNT is too high"),
    ("a COUNT that is walked", "FREQ=HOURLY;COUNT=999999", "COUNT is too high"),
    ("144 times a day", f"FREQ=DAILY;BYHOUR={HOURS};BYMINUTE=0,10,20,30,40,50", "times a day"),
    ("one of 8,784 each year", f"FREQ=YEARLY;BYYEARDAY={YEAR_DAYS};BYHOUR={HOURS};BYSETPOS=-1;COUNT=99", "COUNT"),
    ("100 KB of weekdays", "FREQ=WEEKLY;BYDAY=" + ",".join(["MO"] * 33_000), "longer"),
]


@pytest.mark.parametrize(("sentence", "rule", "reason"), WITHHELD, ids=[row[0] for row in WITHHELD])
def test_mirrored_bomb_is_withheld_with_its_reason(spent: list[int], sentence: str, rule: str, reason: str) -> None:
    text = event("u", "DTSTART:20260302T090000Z", "DTEND:20260302T100000Z", f"RRULE:{rule}")
    with pytest.raises(NotUnderstood) as withheld:
        Reader().entries(text, external_event_id="e", etag="1")
    assert reason in withheld.value.reason
    assert sum(spent) <= SERIES_STEPS + 10_000


def test_mirrored_series_that_ends_before_it_begins_is_no_time(api: APIClient, alice: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.ICS)
    write(alice, timed("2026-03-02 09:00", uid="u", rule="FREQ=DAILY;UNTIL=20260301T000000Z"), origin=origin)
    for ready in (False, True):
        if ready:
            prepared.prepare(alice.pk, now=at("2026-03-01 00:00"))
        assert api.get(f"/users/alice/free_busy?{YEAR}").json()["data"]["attributes"]["periods"] == []
        assert api.get(f"{BLOCKS}?{YEAR}").json()["data"] == []
        assert api.get(f"{BLOCKS}?{YEAR}&expand=true").json()["data"] == []


def test_instances_that_pile_up_are_refused(api: APIClient) -> None:
    """A hundred years long, twelve times a day: each minute would be taken by hundreds of thousands of them."""
    rule = "FREQ=HOURLY;INTERVAL=2"
    long = {**BLOCK, "end_time": "2126-03-02T09:30:00", "recurrence_rule": rule}
    refused = api.post(BLOCKS, {"busy_block": long})
    assert refused.status_code == 422
    assert "at once" in refused.json()["errors"][0]["detail"]
    made = api.post(BLOCKS, {"busy_block": {**BLOCK, "recurrence_rule": rule}}).json()["data"]["id"]
    assert api.put(f"{BLOCKS}/{made}", {"busy_block": {"end_time": "2126-03-02T09:30:00"}}).status_code == 422
    seldom = {**long, "recurrence_rule": "FREQ=YEARLY"}
    assert api.post(BLOCKS, {"busy_block": seldom}).status_code == 201, "a hundred at once are no burden"
    assert api.post(BLOCKS, {"busy_block": {**long, "recurrence_rule": f"{rule};COUNT=9"}}).status_code == 201
