"""Whatever is written, in whatever order: list, free/busy and feed say the same, prepared or not."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from busyblocks import freebusy, prepared, services, shown
from busyblocks.entries import Entry
from busyblocks.models import BusyBlock, Horizon
from busyblocks.timespans import Span
from tenancy.models import Company, CrmUser
from tests.busyblocks.rows import at, days, timed
from tests.busyblocks.test_series_api import BLOCKS, LIST, START, seen
from tests.cast import client_for

RULES = [
    "FREQ=DAILY;COUNT=9",
    "FREQ=DAILY;INTERVAL=2;UNTIL=20260420T120000Z",
    "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=8",
    "FREQ=WEEKLY",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=HOURLY;INTERVAL=12;COUNT=11",
]
ZONES = ["UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe"]
DEEDS = ["skip", "retitle", "move", "move on", "move all", "end", "restore", "whole"]


@pytest.fixture(autouse=True)
def _march() -> Iterator[None]:
    with time_machine.travel(START, tick=False):
        yield


@pytest.fixture
def api(acme: Company, alice: CrmUser) -> APIClient:
    return client_for(acme, "alice")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_to_a_series_is_seen_alike(api: APIClient, alice: CrmUser, seed: int) -> None:
    dice = random.Random(seed)
    zone = dice.choice(ZONES)
    # The hour at which clocks change is among them.
    start = f"2026-03-{dice.randint(2, 29):02}T{dice.choice([0, 1, 2, 9]):02}:30:00"
    body: dict[str, Any] = {"title": "S", "start_time": start, "end_time": start, "time_zone": zone}
    if dice.random() < 0.3:
        body.update(all_day=True, start_time=start[:10], end_time=start[:10])
    else:
        body["end_time"] = start.replace(":30:00", ":55:00")
    rules = [rule for rule in RULES if not (body.get("all_day") and "HOURLY" in rule)]
    assert api.post(BLOCKS, {**body, "recurrence_rule": dice.choice(rules)}).status_code == 201
    prepared.prepare(alice.pk, now=START)
    done = 0
    for _ in range(7):
        listed = api.get(LIST).json()["data"]
        instances = [one for one in listed if one["attributes"]["series_unique_id"]]
        if not instances:
            break
        response = _do(api, dice.choice(DEEDS), dice.choice(instances), dice)
        # What is not guessed at is refused, and nothing is changed.
        assert response.status_code in {200, 204, 422}, response.content
        done += response.status_code != 422
        told = seen(api)
        alice.refresh_from_db()
        assert alice.pk in prepared.horizons([alice])
    assert done > 1
    Horizon.objects.all().delete()
    assert seen(api) == told


def _do(api: APIClient, deed: str, one: dict[str, Any], dice: random.Random) -> Any:
    path, said = f"{BLOCKS}/{one['id']}", one["attributes"]
    if said["all_day"]:
        day = dice.randint(1, 30)
        times = {"start_time": f"2026-04-{day:02}", "end_time": f"2026-04-{day:02}"}
    else:
        hour = said["start_time"][:11] + f"{dice.randint(1, 22):02}"
        times = {"start_time": f"{hour}:10:00Z", "end_time": f"{hour}:20:00Z"}
    match deed:
        case "skip":
            return api.delete(path)
        case "retitle":
            return api.put(path, {"title": "Own"})
        case "move":
            return api.put(path, times)
        case "move on":
            return api.put(path, {**times, "scope": "following"})
        case "move all":
            return api.put(path, {**times, "scope": "all"})
        case "end":
            return api.delete(f"{path}?scope=following")
        case "restore":
            return api.post(f"{path}/restore")
    return api.put(f"{BLOCKS}/{said['series_unique_id']}", {"location": "Room 1"})


ENTRIES = st.builds(
    lambda day, hour, rule, zone, all_day: (
        days(f"2026-03-{day:02}", rule=rule)
        if all_day
        else timed(f"2026-03-{day:02} {hour:02}:00", 90, tz=zone, rule=rule)
    ),
    st.integers(1, 28),
    st.integers(0, 23),
    st.sampled_from(["", *RULES[:4]]),
    st.sampled_from(ZONES),
    st.booleans(),
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(ENTRIES, min_size=2, max_size=5), data=st.data())
@pytest.mark.django_db
def test_order_of_writes_does_not_matter(alice: CrmUser, entries: list[Entry], data: st.DataObject) -> None:
    other = data.draw(st.permutations(entries))
    # Something that comes and goes in between, and something that becomes what it is only later.
    early, late = data.draw(st.integers(0, len(entries) - 1)), data.draw(st.booleans())

    def written(order: list[Entry], *, changed: bool) -> Any:
        BusyBlock.objects.of(alice).delete()
        prepared.prepare(alice.pk, now=START)
        passing = None
        for number, entry in enumerate(order):
            if changed and number == early:
                passing = services.create(alice, timed("2026-03-05 05:00", rule="FREQ=DAILY"), now=START)
            if changed and late:
                block = services.create(alice, timed("2026-03-07 07:00", rule="FREQ=WEEKLY"), now=START)
                services.change(block, entry, now=START)
            else:
                services.create(alice, entry, now=START)
        if passing is not None:
            services.delete(passing, now=START)
        alice.refresh_from_db()
        assert alice.pk in prepared.horizons([alice])
        span = Span(at("2026-03-01 00:00"), at("2026-05-01 00:00"))
        places = shown.instances_in(BusyBlock.objects.of(alice), alice, span, asked=None)
        periods = freebusy.periods(alice, span.start, span.end, "Asia/Tokyo")
        return sorted((place.start, place.end) for place in places), periods

    assert written(entries, changed=False) == written(list(other), changed=True)
