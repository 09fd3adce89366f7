"""The public feed over HTTP: who may read what, and what a read costs."""

import gzip
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import icalendar
import pytest
import time_machine
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils.http import http_date

from busyblocks.models import BusyBlock, EventStatus, Origin
from calendars.models import Meeting
from icsfeeds import accesses, lookup, preparation, publication, services
from icsfeeds.models import ICSToken
from tenancy.models import CrmUser, bump_revision

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def token(alice) -> ICSToken:
    return services.issue(alice, label="Personal Calendar Feed")


def address(token: ICSToken, company: str = "acme") -> str:
    return f"/calendars/{company}/ics/{token.encrypted_token}"


def block(user: CrmUser, title: str, **values) -> BusyBlock:
    known = {"start_time": datetime(2026, 3, 15, 14, tzinfo=UTC), "end_time": datetime(2026, 3, 15, 15, tzinfo=UTC)}
    return BusyBlock.objects.create(company=user.company, user=user, title=title, **{**known, **values})


def titles(response) -> list[str]:
    assert response.status_code == 200, response.content
    return sorted(str(event["SUMMARY"]) for event in icalendar.Calendar.from_ical(response.content).walk("VEVENT"))


# What is shown ------------------------------------------------------------------------------------------------------


def test_a_feed_shows_the_users_own_blocks_and_meetings_and_nobody_elses(client, alice, bob, mallory, token):
    block(alice, "by hand")
    block(alice, "meeting", meeting_key="11111111-1111-1111-1111-111111111111", uid="m@cal.com")
    block(alice, "called off", status=EventStatus.CANCELLED, meeting_key="22222222-2222-2222-2222-222222222222")
    block(bob, "bob's")
    block(mallory, "mallory's")

    assert titles(client.get(address(token))) == ["by hand", "called off", "meeting"]


def test_synced_rows_are_shown_only_where_the_token_says_so(client, alice, token):
    origin = Origin.objects.create(user=alice, source="google")
    block(alice, "by hand")
    block(alice, "synced", origin=origin, source="google", external_event_id="e1", uid="e1@google.com")
    echoing = services.issue(alice, include_synced=True)

    assert titles(client.get(address(token))) == ["by hand"]
    assert titles(client.get(address(echoing))) == ["by hand", "synced"]


def test_a_meeting_brings_its_address(client, alice, token):
    times = {"start_time": datetime(2026, 3, 15, 14, tzinfo=UTC), "end_time": datetime(2026, 3, 15, 15, tzinfo=UTC)}
    meeting = Meeting.objects.create(company=alice.company, user=alice, meeting_url="https://meet.example/x", **times)
    block(alice, "meeting", meeting_key=str(meeting.unique_id))

    assert b"URL:https://meet.example/x\r\n" in client.get(address(token)).content


def test_the_answer_is_a_private_calendar_that_nobody_indexes(client, token):
    response = client.get(address(token))

    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    assert response["Cache-Control"] == "private, max-age=300"
    assert response["X-Robots-Tag"] == "noindex, nofollow"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["Vary"] == "Accept-Encoding"
    assert 'filename="calendar.ics"' in response["Content-Disposition"]
    assert not response.cookies


@pytest.mark.parametrize("suffix", ["", ".ics", "/", ".ics/"])
def test_the_address_may_end_as_programs_write_it(client, token, suffix):
    assert client.get(address(token) + suffix).status_code == 200


# Conditional requests ----------------------------------------------------------------------------------------------


def test_a_304_costs_one_query_and_renders_nothing(client, alice, token, django_assert_num_queries):
    block(alice, "by hand")
    etag = client.get(address(token))["ETag"]

    with patch("icsfeeds.preparation._render", side_effect=AssertionError), django_assert_num_queries(1):
        response = client.get(address(token), headers={"If-None-Match": etag})

    assert response.status_code == 304
    assert response.getvalue() == b""
    assert response["ETag"] == etag
    assert response["Cache-Control"] == "private, max-age=300"


def test_a_304_says_nothing_that_a_cache_must_not_take_over(client, token):
    """RFC 9111 §3.2: what stands in a 304 replaces what was stored; RFC 9110 §8.6: nor does it tell another length."""
    response = client.get(address(token), headers={"If-None-Match": "*"})

    assert response.status_code == 304
    assert response["Content-Type"] == client.get(address(token))["Content-Type"]
    assert "Content-Length" not in response


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '{}, "other"', "*", '"other",W/{}'])
def test_if_none_match_is_read_in_all_its_forms(client, token, form):
    etag = client.get(address(token))["ETag"]

    assert client.get(address(token), headers={"If-None-Match": form.format(etag)}).status_code == 304
    assert client.get(address(token), headers={"If-None-Match": '"other"'}).status_code == 200


def test_compressed_and_plain_bytes_have_tags_of_their_own_and_know_each_other(client, alice, token):
    block(alice, "by hand")
    plain = client.get(address(token))
    compressed = client.get(address(token), headers={"Accept-Encoding": "br, gzip;q=0.8"})

    assert compressed["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed.content) == plain.content
    assert compressed["ETag"] != plain["ETag"]
    assert client.get(address(token), headers={"If-None-Match": compressed["ETag"]}).status_code == 304
    for refusing in ("", "gzip;q=0", "identity", "gzip; q=0.000"):
        assert "Content-Encoding" not in client.get(address(token), headers={"Accept-Encoding": refusing})


@pytest.mark.parametrize(
    "changes",
    [{"label": "Other"}, {"include_synced": True}, {"detail": "busy"}, {"color": "#FF0000"}, {"refresh_seconds": 900},
     {"show_busy_blocks": False}, {"past_days": 3}, {"future_days": 3}],
)  # fmt: skip
def test_a_change_of_the_token_is_a_new_version(client, alice, token, changes):
    block(alice, "by hand")
    block(alice, "last week", start_time=NOW - timedelta(days=7), end_time=NOW - timedelta(days=7))
    origin = Origin.objects.create(user=alice, source="google")
    block(alice, "synced", origin=origin, source="google", external_event_id="e1", uid="e1@google.com")
    etag = client.get(address(token))["ETag"]
    services.change(token, **changes)

    assert client.get(address(token), headers={"If-None-Match": etag}).status_code == 200


def test_a_change_of_the_ledger_is_a_new_version(client, alice, token):
    etag = client.get(address(token))["ETag"]
    _write(alice, "new")()

    response = client.get(address(token), headers={"If-None-Match": etag})

    assert response.status_code == 200
    assert response["ETag"] != etag


def test_what_the_feed_does_not_show_changes_no_etag(client, alice, token, django_assert_num_queries):
    etag = client.get(address(token))["ETag"]
    origin = Origin.objects.create(user=alice, source="google")
    block(alice, "synced", origin=origin, source="google", external_event_id="e1", uid="e1@google.com")
    block(alice, "long ago", start_time=NOW - timedelta(days=400), end_time=NOW - timedelta(days=400))
    bump_revision(alice.pk, at=NOW)

    assert client.get(address(token), headers={"If-None-Match": etag}).status_code == 304
    with django_assert_num_queries(1):
        assert client.get(address(token), headers={"If-None-Match": etag}).status_code == 304


def test_a_day_that_brings_nothing_into_the_window_changes_no_etag(client, alice, token, clock):
    block(alice, "far", start_time=NOW + timedelta(days=402), end_time=NOW + timedelta(days=402, hours=1))
    etag = client.get(address(token))["ETag"]
    clock.move_to(NOW + timedelta(days=1))
    assert client.get(address(token), headers={"If-None-Match": etag}).status_code == 304
    clock.move_to(NOW + timedelta(days=2))

    response = client.get(address(token), headers={"If-None-Match": etag})

    assert titles(response) == ["far"]
    assert response["ETag"] != etag


def test_if_modified_since_answers_304_once_the_change_has_settled(client, alice, token, clock):
    _write(alice, "new")()
    clock.move_to(NOW + timedelta(minutes=5))
    last_modified = client.get(address(token))["Last-Modified"]

    assert last_modified == http_date(NOW.timestamp() + 1)
    assert client.get(address(token), headers={"If-Modified-Since": last_modified}).status_code == 304
    before = http_date(NOW.timestamp() - 3600)
    assert client.get(address(token), headers={"If-Modified-Since": before}).status_code == 200
    assert client.get(address(token), headers={"If-Modified-Since": "yesterday"}).status_code == 200


def test_a_second_change_in_the_same_second_is_never_missed(client, alice, token, clock):
    _write(alice, "new")()
    clock.move_to(NOW + timedelta(milliseconds=300))
    last_modified = client.get(address(token))["Last-Modified"]
    _write(alice, "newer", at=NOW + timedelta(milliseconds=600))()
    clock.move_to(NOW + timedelta(minutes=5))

    assert client.get(address(token), headers={"If-Modified-Since": last_modified}).status_code == 200


def test_if_none_match_outranks_if_modified_since(client, token):
    headers = {"If-None-Match": '"other"', "If-Modified-Since": http_date(NOW.timestamp() + 86_400)}

    assert client.get(address(token), headers=headers).status_code == 200


def test_head_tells_the_validators_and_renders_nothing(client, token, django_assert_num_queries):
    full = client.get(address(token))

    with patch("icsfeeds.preparation._render", side_effect=AssertionError), django_assert_num_queries(1):
        response = client.head(address(token))

    assert response.status_code == 200
    assert response["ETag"] == full["ETag"]
    assert response["Content-Type"] == full["Content-Type"]
    assert "Content-Length" not in response


# Reads while the ledger is written ----------------------------------------------------------------------------------


def _meanwhile(*changes):
    """A change committed after each of the first times that the rows were read."""
    pending = list(changes)

    def render(*args, **kwargs):
        made = original(*args, **kwargs)
        if pending:
            pending.pop(0)()
        return made

    original = preparation._render
    return patch("icsfeeds.preparation._render", side_effect=render)


def _write(user: CrmUser, title: str, *, at: datetime = NOW):
    def change() -> None:
        block(user, title)
        bump_revision(user.pk, at=at)

    return change


def test_rows_read_before_a_change_never_go_out_under_its_version(client, alice, token):
    with _meanwhile(_write(alice, "new")):
        response = client.get(address(token))

    assert titles(response) == ["new"]
    assert client.get(address(token), headers={"If-None-Match": response["ETag"]}).status_code == 304


def test_a_change_between_the_version_and_the_rows_is_seen_and_read_again(client, alice, token):
    stale = lookup.find("acme", lookup.digest_of(token.encrypted_token), now=NOW)
    _write(alice, "new")()

    edition = publication.edition_of(stale, None, now=NOW)

    assert b"SUMMARY:new" in (edition.body.whole(gzipped=False) or b"")
    current = lookup.find("acme", lookup.digest_of(token.encrypted_token), now=NOW)
    assert edition.version == publication.version_of(current, now=NOW)


def test_a_ledger_that_never_rests_is_shown_without_validators(client, alice, token):
    with _meanwhile(*(_write(alice, str(number)) for number in range(5))):
        response = client.get(address(token))

    assert response.status_code == 200
    assert "ETag" not in response
    assert "Last-Modified" not in response


def test_the_first_read_of_a_version_costs_the_same_few_queries_whatever_it_holds(
    client, alice, token, django_assert_num_queries
):
    client.get(address(token))
    bump_revision(alice.pk, at=NOW)
    with CaptureQueriesContext(connection) as few:
        client.get(address(token))
    for number in range(30):
        block(alice, str(number))
    bump_revision(alice.pk, at=NOW)
    with django_assert_num_queries(len(few) + 2):
        assert len(titles(client.get(address(token)))) == 30


# Whoever has no business here ---------------------------------------------------------------------------------------


def test_every_wrong_address_gets_the_same_404_byte_by_byte(client, alice, mallory, token):
    inactive = services.issue(alice, active=False)
    expired = services.issue(alice, expires_at=NOW)
    deleted = services.issue(alice)
    services.revoke(ICSToken.objects.get(pk=deleted.pk))
    others = services.issue(mallory)
    paths = {
        "unknown": f"/calendars/acme/ics/{ICSToken.new_value()}",
        "no such company": address(token, "initech"),
        "another company's address": address(token, "globex"),
        "another company's token": address(others, "acme"),
        "inactive": address(inactive),
        "expired": address(expired),
        "deleted": address(deleted),
        "malformed": "/calendars/acme/ics/%F0%28%8C%28",
        "overlong": "/calendars/acme/ics/" + "x" * 20_000,
        "with a NUL": "/calendars/acme/ics/abc%00def",
        "with a line break": "/calendars/acme/ics/abc%0Adef",
        "with slashes": "/calendars/acme/ics/a/b/c",
        "cut short": address(token)[:-1],
        "in capitals": f"/calendars/acme/ics/{token.encrypted_token.swapcase()}",
    }

    answers = {reason: client.get(path) for reason, path in paths.items()}

    assert {reason: answer.status_code for reason, answer in answers.items()} == dict.fromkeys(paths, 404)
    assert len({answer.content for answer in answers.values()}) == 1
    assert answers["unknown"].json() == {
        "errors": [
            {
                "status": "404",
                "code": "not_found",
                "title": "Resource Not Found",
                "detail": "The requested resource could not be found.",
            }
        ]
    }
    by_view = [dict(answer.headers) for reason, answer in answers.items() if reason != "with a NUL"]
    for headers in by_view:
        headers.pop("X-Request-ID", None)
    assert all(headers == by_view[0] for headers in by_view)
    assert by_view[0]["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("company", ["acme", "globex"])
def test_a_wrong_token_costs_one_query(client, acme, globex, company, django_assert_num_queries):
    with django_assert_num_queries(1):
        client.get(f"/calendars/{company}/ics/{ICSToken.new_value()}")


def test_a_revoked_token_is_dead_at_once_even_for_readers_who_have_the_feed(client, token):
    etag = client.get(address(token))["ETag"]
    services.revoke(ICSToken.objects.get(pk=token.pk))

    assert client.get(address(token), headers={"If-None-Match": etag}).status_code == 404


def test_a_token_dies_at_the_instant_of_its_expiry(client, alice, clock):
    token = services.issue(alice, expires_at=NOW + timedelta(hours=1))

    clock.move_to(NOW + timedelta(hours=1) - timedelta(seconds=1))
    assert client.get(address(token)).status_code == 200
    clock.move_to(NOW + timedelta(hours=1))
    assert client.get(address(token)).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods_are_refused_before_the_token_is_looked_at(client, token, method, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = getattr(client, method)(address(token))

    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"
    assert response.json()["errors"][0]["code"] == "method_not_allowed"


# Counting reads -----------------------------------------------------------------------------------------------------


def test_reads_are_counted_in_memory_and_written_together(client, alice, token, clock, django_assert_num_queries):
    other = services.issue(alice)
    etag = client.get(address(token))["ETag"]
    for _ in range(4):
        with django_assert_num_queries(1):
            client.get(address(token), headers={"If-None-Match": etag})
    clock.move_to(NOW + timedelta(seconds=9))
    client.get(address(other), headers={"User-Agent": "Mozilla Thunderbird\r\x00"})
    assert set(ICSToken.objects.values_list("access_count", flat=True)) == {0}

    accesses.write()

    rows = ICSToken.objects.order_by("pk").values_list("access_count", "last_accessed_at", "last_user_agent")
    assert list(rows) == [(5, NOW, ""), (1, NOW + timedelta(seconds=9), "Mozilla Thunderbird")]
    with django_assert_num_queries(0):
        accesses.write()


def test_counting_is_no_change_of_the_token(client, token):
    before = ICSToken.objects.get().updated_at
    client.get(address(token))
    accesses.write()

    assert ICSToken.objects.get().updated_at == before


def test_a_feed_is_read_on_a_read_only_database(client, alice, token):
    block(alice, "by hand")
    with patch("icsfeeds.publication.ICSToken.objects.filter", side_effect=_read_only):
        response = client.get(address(token))

    assert titles(response) == ["by hand"]
    assert response["ETag"]
    assert "Last-Modified" not in response


def _read_only(**conditions):
    class Rows(QuerySet[ICSToken]):
        def update(self, **_values):
            raise DatabaseError

    return Rows(ICSToken).filter(**conditions)
