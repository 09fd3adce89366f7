"""What a token shows: kinds, detail, days, people, a team's feed; and what becomes of meetings that are gone."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from busyblocks.models import BusyBlock, Origin
from calendars.models import Meeting
from calendars.services import meetings
from calendars.services.meetings import Facts, Participant
from icsfeeds import services
from icsfeeds.models import ICSToken
from tenancy.models import CrmUser, bump_revision
from tests.icsfeeds.ledger import events_of, lines_of, unfolded

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
START = datetime(2026, 3, 15, 14, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def block(user: CrmUser, title: str, **values) -> BusyBlock:
    known = {"start_time": START, "end_time": START + timedelta(hours=1), **values}
    made = BusyBlock.objects.create(company=user.company, user=user, title=title, **known)
    bump_revision(user.pk, at=NOW)
    return made


def booked(user: CrmUser, title: str = "Demo", *, people: list[Participant] | None = None, **facts) -> Meeting:
    told = Facts(start_time=START, end_time=START + timedelta(hours=1), title=title, **facts)
    return meetings.schedule(
        user.company, source="manual", facts=told, user=user, participants=people or (), said_at=NOW, now=NOW
    )


def read(client, token: ICSToken, suffix: str = "") -> bytes:
    response = client.get(f"/calendars/{token.company.url_id}/ics/{token.encrypted_token}{suffix}")
    assert response.status_code == 200
    return response.content


def titles(feed: bytes) -> list[str]:
    return sorted(str(event["SUMMARY"]) for event in events_of(feed))


@pytest.mark.parametrize(
    ("meetings_too", "blocks_too", "synced_too"),
    [(True, False, False), (False, True, False), (False, False, True), (True, True, True), (False, False, False)],
)
def test_a_feed_shows_the_kinds_that_its_token_names(client, alice, meetings_too, blocks_too, synced_too):
    origin = Origin.objects.create(user=alice, source="google")
    booked(alice, "meeting")
    block(alice, "block")
    block(alice, "synced", origin=origin, source="google", external_event_id="e", uid="e@google.com")
    token = services.issue(
        alice, show_meetings=meetings_too, show_busy_blocks=blocks_too, include_synced=synced_too, detail="full"
    )

    wanted = [("meeting", meetings_too), ("block", blocks_too), ("synced", synced_too)]

    assert titles(read(client, token)) == sorted(name for name, shown in wanted if shown)


def test_private_entries_never_show_more_than_their_times(client, alice):
    for number, kind in enumerate(["public", "private", "confidential"]):
        start = START + timedelta(days=number)
        words = {"description": "tumour", "location": "clinic"}
        block(alice, f"{kind} title", classification=kind, start_time=start, end_time=start, **words)

    feed = read(client, services.issue(alice))

    assert titles(feed) == ["Busy", "Busy", "public title"]
    assert unfolded(feed).count("tumour") == unfolded(feed).count("clinic") == 1
    assert sorted(lines_of(feed, "CLASS")) == ["CLASS:CONFIDENTIAL", "CLASS:PRIVATE", "CLASS:PUBLIC"]


def test_a_private_override_of_a_public_series_keeps_its_words_to_itself(client, alice):
    block(alice, "series", uid="s", recurring=True, recurrence_rule="FREQ=DAILY;COUNT=3")
    later = {"start_time": START + timedelta(days=1, hours=2), "end_time": START + timedelta(days=1, hours=3)}
    block(alice, "secret", uid="s", recurrence_id="20260316T140000Z", classification="private", **later)

    feed = read(client, services.issue(alice))

    assert titles(feed) == ["Busy", "series"]
    assert b"secret" not in feed
    # Else readers would take them for two things.
    assert lines_of(feed, "UID") == ["UID:s", "UID:s"]


@pytest.mark.parametrize(
    "values",
    [{}, {"recurring": True, "recurrence_rule": "FREQ=DAILY;COUNT=3"}, {"recurrence_id": "20260315T140000Z"}],
    ids=["once", "series", "override"],
)
def test_the_uid_of_a_private_entry_keeps_to_itself_whom_it_names(client, alice, values):
    block(alice, "visit", uid="dr-mallory@clinic.example", classification="private", **values)

    feed = read(client, services.issue(alice))

    assert titles(feed) == ["Busy"]
    assert "clinic" not in unfolded(feed)


def test_of_a_busy_feed_nothing_can_be_learned_but_times(client, alice):
    booked(alice, "Demo", meeting_url="https://meet.example/secret", description="secret", ical_uid="secret@cal.com")
    block(alice, "secret block", location="secret place", uid="secret-uid")
    block(alice, "secret free", fbtype="free", transparency="transparent")
    token = services.issue(alice, detail="busy", show_people=True)

    feed = read(client, token)

    assert titles(feed) == ["Busy", "Busy"]
    assert b"secret" not in feed
    assert b"Demo" not in feed
    uids = lines_of(feed, "UID")
    assert len(set(uids)) == 2
    assert lines_of(read(client, token), "UID") == uids


@pytest.mark.parametrize(
    ("past", "future", "shown"),
    [
        # Days count from midnight UTC of today, 10 March, which belongs to the future side.
        (0, 0, ["today"]),
        (1, 0, ["today", "yesterday"]),
        (0, 1, ["today", "tomorrow"]),
        (None, 0, ["long ago", "today", "yesterday"]),
        (0, None, ["far", "today", "tomorrow"]),
    ],
)
def test_the_window_is_whole_days_around_today(client, alice, past, future, shown):
    for name, days in {"long ago": -2000, "yesterday": -1, "today": 0, "tomorrow": 1, "far": 2000}.items():
        block(alice, name, start_time=NOW + timedelta(days=days), end_time=NOW + timedelta(days=days, hours=1))

    token = services.issue(alice, past_days=past, future_days=future)

    assert titles(read(client, token)) == shown


def test_a_series_that_reaches_into_the_window_is_shown_with_its_overrides(client, alice):
    old = {"start_time": NOW - timedelta(days=300), "end_time": NOW - timedelta(days=300)}
    block(alice, "series", uid="s", recurring=True, recurrence_rule="FREQ=WEEKLY", **old)
    moved = {"start_time": NOW - timedelta(days=292), "end_time": NOW - timedelta(days=292)}
    block(alice, "moved", uid="s", recurrence_id=(NOW - timedelta(days=293)).strftime("%Y%m%dT%H%M%SZ"), **moved)
    ended = {"recurs_until": NOW - timedelta(days=250), "recurrence_rule": "FREQ=WEEKLY;COUNT=2", **old}
    block(alice, "ended", uid="e", recurring=True, **ended)
    block(alice, "ended, moved", uid="e", recurrence_id=moved["start_time"].strftime("%Y%m%dT%H%M%SZ"), **moved)

    assert titles(read(client, services.issue(alice, past_days=90))) == ["moved", "series"]


def test_people_are_named_only_where_that_is_asked_for(client, alice):
    people = [Participant(email="guest@example.org", name='Gu"est\r\nX-EVIL:1'), Participant(email="no address")]
    booked(alice, organizer_email="host@acme.example", organizer_name="Alice", people=people)

    assert b"mailto:" not in read(client, services.issue(alice))
    feed = read(client, services.issue(alice, show_people=True))

    assert lines_of(feed, "ORGANIZER") == ['ORGANIZER;CN="Alice":mailto:host@acme.example']
    assert lines_of(feed, "ATTENDEE") == [
        'ATTENDEE;CN="Gu est X-EVIL:1";ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED:mailto:guest@example.org'
    ]
    (event,) = events_of(feed)
    assert event["ATTENDEE"] == "mailto:guest@example.org"


def test_the_calendar_has_a_name_a_colour_and_a_pace(client, alice):
    text = unfolded(read(client, services.issue(alice, label="Büro, 2", color="#FE0505", refresh_seconds=3600)))

    assert "NAME:Büro\\, 2\r\nX-WR-CALNAME:Büro\\, 2\r\n" in text
    assert "COLOR:red\r\nX-APPLE-CALENDAR-COLOR:#FE0505\r\n" in text
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT3600S\r\nX-PUBLISHED-TTL:PT3600S\r\n" in text


# Teams --------------------------------------------------------------------------------------------------------------


def test_a_teams_feed_shows_each_members_entries_under_their_names(client, alice, bob, mallory):
    shared = [Participant(email=bob.email, user=bob)]
    booked(alice, "Demo", people=shared)
    block(bob, "Dentist", classification="private")
    block(mallory, "mallory's")

    feed = read(client, services.issue(alice, team=[bob]))

    assert titles(feed) == ["alice: Demo", "bob: Busy", "bob: Demo"]
    assert len(set(lines_of(feed, "UID"))) == 3


def test_a_change_of_any_member_is_a_new_version_and_304_is_one_query(client, alice, bob, django_assert_num_queries):
    token = services.issue(alice, team=[bob])
    path = f"/calendars/acme/ics/{token.encrypted_token}"
    for number, user in enumerate([alice, bob]):
        etag = client.get(path)["ETag"]
        with django_assert_num_queries(1):
            assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
        block(user, f"new {number}")
        assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_whoever_leaves_the_team_leaves_the_feed(client, alice, bob):
    block(bob, "Dentist")
    token = services.issue(alice, team=[bob])
    assert titles(read(client, token)) == ["bob: Dentist"]

    services.change(token, team=[])

    assert titles(read(client, token)) == []


# Gone meetings ------------------------------------------------------------------------------------------------------


def test_a_discarded_meeting_stays_cancelled_for_a_while_and_goes(client, alice, clock):
    meeting = booked(alice)
    token = services.issue(alice)
    (before,) = events_of(read(client, token))

    meetings.discard(meeting, now=NOW)

    (event,) = events_of(read(client, token))
    assert (event["UID"], event["STATUS"]) == (before["UID"], "CANCELLED")
    assert event["SEQUENCE"] > before["SEQUENCE"]
    clock.move_to(NOW + timedelta(days=29))
    assert titles(read(client, token)) == ["Demo"]
    clock.move_to(NOW + timedelta(days=32))
    assert titles(read(client, token)) == []


def test_a_meeting_that_was_called_off_goes_after_a_while_too(client, alice, clock):
    meeting = booked(alice)
    token = services.issue(alice)
    meetings.cancel(meeting, said_at=NOW, now=NOW)

    assert lines_of(read(client, token), "STATUS") == ["STATUS:CANCELLED"]
    clock.move_to(NOW + timedelta(days=32))
    assert titles(read(client, token)) == []


def test_a_recovered_meeting_is_newer_than_its_cancellation(client, alice):
    meeting = booked(alice)
    token = services.issue(alice)
    meetings.discard(meeting, now=NOW)
    (cancelled,) = events_of(read(client, token))

    meetings.recover(meeting, now=NOW)

    (event,) = events_of(read(client, token))
    assert event["STATUS"] == "CONFIRMED"
    assert event["SEQUENCE"] > cancelled["SEQUENCE"]


# Free/busy ----------------------------------------------------------------------------------------------------------


def test_the_free_busy_feed_tells_periods_and_no_words(client, alice):
    block(alice, "one", description="secret")
    block(alice, "two", start_time=START + timedelta(minutes=30), end_time=START + timedelta(hours=2))
    block(alice, "perhaps", start_time=START, end_time=START + timedelta(hours=3), fbtype="busy-tentative")
    block(alice, "away", start_time=START - timedelta(hours=1), end_time=START, fbtype="busy-unavailable")
    block(alice, "free", start_time=START + timedelta(days=1), end_time=START + timedelta(days=2), fbtype="free")
    origin = Origin.objects.create(user=alice, source="google")
    later = {"start_time": START + timedelta(days=5), "end_time": START + timedelta(days=6)}
    block(alice, "synced", origin=origin, source="google", external_event_id="e", **later)

    lines = unfolded(read(client, services.issue(alice), ".ifb")).split("\r\n")

    assert [line for line in lines if line.startswith("FREEBUSY")] == [
        "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260315T130000Z/20260315T140000Z",
        "FREEBUSY;FBTYPE=BUSY:20260315T140000Z/20260315T160000Z",
        "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260315T160000Z/20260315T170000Z",
    ]
    assert lines[3:7] == [
        "BEGIN:VFREEBUSY",
        f"UID:{alice.company_id}-{alice.pk}-freebusy@calendar",
        "DTSTAMP:20260310T000000Z",
        "DTSTART:20260207T000000Z",
    ]
    assert not [line for line in lines if "secret" in line or "one" in line]


def test_the_free_busy_feed_has_an_etag_that_changes_with_the_times_alone(client, alice, django_assert_num_queries):
    token = services.issue(alice)
    path = f"/calendars/acme/ics/{token.encrypted_token}.ifb"
    made = block(alice, "one")
    read(client, token)
    etag = client.get(path)["ETag"]
    with django_assert_num_queries(1):
        assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    BusyBlock.objects.filter(pk=made.pk).update(title="renamed", updated_at=NOW)
    bump_revision(alice.pk, at=NOW + timedelta(seconds=1))
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    block(alice, "two", start_time=START + timedelta(days=1), end_time=START + timedelta(days=2))

    assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_a_wrong_free_busy_address_is_not_found(client, mallory, alice):
    token = services.issue(alice)

    assert client.get(f"/calendars/globex/ics/{token.encrypted_token}.ifb").status_code == 404
    assert client.get("/calendars/acme/ics/nothing.ifb").status_code == 404


def test_download_names_a_file(client, alice):
    path = f"/calendars/acme/ics/{services.issue(alice).encrypted_token}"

    assert client.get(path)["Content-Disposition"] == 'inline; filename="calendar.ics"'
    assert client.get(path + "?download")["Content-Disposition"] == 'attachment; filename="calendar.ics"'
    assert client.get(path + ".ifb?download")["Content-Disposition"] == 'attachment; filename="freebusy.ifb"'
