"""What the connect page says of an account, case by case."""

from datetime import UTC, datetime
from typing import Any

import pytest

from calendars.models import CalendarAccount, ProviderName
from calendars.pages import words

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FINE: dict[str, Any] = {"sync_enabled": True, "connected": True, "last_synced_at": NOW, "last_error_code": ""}


@pytest.mark.parametrize(
    ("facts", "held", "tone", "word", "again", "waits"),
    [
        # Nothing is wrong.
        ({}, 0, "good", "Up to date", False, False),
        # The first sync is under way: the page looks again by itself.
        ({"last_synced_at": None}, 0, "quiet", "Being read", False, True),
        # Somebody went to the vendor and did not come back.
        ({"connected": False, "last_synced_at": None}, 0, "warn", "Not finished", True, False),
        # The password was changed; held events are of no interest beside that.
        ({"connected": False, "last_error_code": "reconnect_needed"}, 3, "bad", "Connect again", True, False),
        # It mends itself.
        ({"last_error_code": "unreachable"}, 0, "warn", "Not up to date", False, False),
        # A failure of which nobody has heard yet.
        ({"last_error_code": "of_tomorrow"}, 0, "warn", "Not up to date", False, False),
        # The brake holds.
        ({}, 3, "warn", "Being checked", False, False),
        # Paused, whatever else is true.
        ({"sync_enabled": False, "last_error_code": "unreachable"}, 3, "quiet", "Paused", False, False),
    ],
)
def test_health_is_told_in_one_word(facts: dict[str, Any], held: int, tone: str, word: str, again: bool, waits: bool):
    health = words.health_of(CalendarAccount(**{**FINE, **facts}), held=held)
    assert (health.tone, health.word, health.again, health.waits) == (tone, word, again, waits)


@pytest.mark.parametrize(("held", "said"), [(1, "1 event vanished at once. It stays"), (2, "2 events vanished")])
def test_held_events_are_counted(held: int, said: str):
    assert said in words.health_of(CalendarAccount(**FINE), held=held).advice


@pytest.mark.parametrize("provider", ProviderName.values)
def test_every_provider_has_a_tile_and_a_name(provider: str):
    assert provider in [choice.provider for choice in words.choices()]
    assert words.name_of(CalendarAccount(provider=provider))


@pytest.mark.parametrize("provider", ["apple", "caldav", "ics"])
@pytest.mark.parametrize("code", ["reconnect_needed", "unreachable", "misconfigured", "of_tomorrow", ""])
def test_every_failed_trial_says_what_to_do(provider: str, code: str):
    field, said = words.trial_failure(provider, code)
    assert field in {"", "address", "password", "url"}
    assert said.endswith((".", "//"))
