"""Every text of the pages has a translation, and what is compiled is what is written."""

import re
from collections import Counter

import polib
import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.utils import timezone

from tenancy import page_links
from tenancy.models import CrmUser
from tests import messages


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(messages.catalogue(language)))


def test_every_language_but_english_has_a_catalogue():
    assert {name for name, _ in settings.LANGUAGES} == {"en", *messages.LANGUAGES}


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_no_text_is_without_a_translation(language: str):
    known = catalogue(language)
    written = {(entry.msgid, entry.msgid_plural) if entry.msgid_plural else entry.msgid for entry in known}
    assert written == set(messages.texts()), "run python -m tests.messages"
    assert [entry.msgid for entry in known.untranslated_entries() + known.fuzzy_entries()] == []


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_translations_keep_the_places_and_the_markup(language: str):
    for entry in catalogue(language):
        for text in (entry.msgstr, *entry.msgstr_plural.values()):
            for kept in (r"%\(\w+\)[sd]", r"<[^>]+>", r"https?://\S*"):
                expected, found = (Counter(re.findall(kept, words)) for words in (entry.msgid, text))
                assert not text or expected == found, entry.msgid


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_compiled_catalogue_says_the_same(language: str):
    compiled = polib.mofile(str(messages.catalogue(language).with_suffix(".mo")))
    found = {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in compiled}
    assert found == {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in catalogue(language)}


@pytest.mark.parametrize(
    ("asked", "language", "words"),
    [
        ("de-AT,en;q=0.5", "de", "Kalender von alice"),
        ("fr,de;q=0.8,en;q=0.5", "de", "Kalender von alice"),
        ("fr", "en", "Calendars of alice"),
        ("", "en", "Calendars of alice"),
    ],
)
def test_page_speaks_the_language_that_the_browser_likes_best(
    client: Client, alice: CrmUser, asked: str, language: str, words: str
):
    link = page_links.issue(alice, now=timezone.now())
    page = client.get(f"/connect/{link.text}", headers={"Accept-Language": asked})
    assert words in page.text
    assert f'<html lang="{language}">' in page.text
    assert page["Content-Language"] == language
    assert "Accept-Language" in page["Vary"]


@pytest.mark.parametrize(("asked", "until"), [("de", "2. März 2026, 13:00 CET"), ("en", "2026-03-02 13:00 CET")])
def test_times_are_told_with_the_users_zone_in_the_language_of_the_page(
    client: Client, alice: CrmUser, asked: str, until: str
):
    CrmUser.objects.update(time_zone="Europe/Berlin")
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        link = page_links.issue(alice, now=timezone.now())
        assert until in client.get(f"/connect/{link.text}", headers={"Accept-Language": asked}).text


def test_api_and_admin_speak_english_whatever_the_browser_likes(client: Client, db: None):
    assert "Nicht" not in client.get("/users", headers={"Accept-Language": "de"}).text
    assert "Log in" in client.get("/admin/login/", headers={"Accept-Language": "de"}).text
