"""What an operator types, and what they read when it goes wrong."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError

from calendars.models import CalendarAccount
from icsfeeds.models import ICSToken
from integrations.models import CalcomSecret
from tenancy import tokens
from tenancy.models import ApiKey, Company

pytestmark = pytest.mark.django_db


def said(*command, **options):
    out = StringIO()
    call_command(*command, stdout=out, **options)
    return out.getvalue()


def last_word(*command):
    return said(*command).split()[-1]


# create_company -----------------------------------------------------------------------------------------------------


def test_company_gets_a_key_that_is_the_last_word():
    key = last_word("create_company", "acme", "--name", "Acme Inc.")

    assert ApiKey.objects.get(digest=ApiKey.digest_of(key)).company.name == "Acme Inc."


def test_company_may_bring_its_calcom_secret_which_is_not_repeated():
    text = said("create_company", "acme", "--calcom-secret", "s3cret-canary")

    assert CalcomSecret.objects.get().secret == "s3cret-canary"
    assert "canary" not in text
    assert "http://testserver/calcom/acme/webhook" in text


def test_company_that_exists_is_not_made_again(acme):
    with pytest.raises(CommandError, match="--new-key"):
        said("create_company", "acme")

    assert not ApiKey.objects.exists()


def test_company_may_have_another_key(acme):
    first, second = (last_word("create_company", "acme", "--new-key") for _ in range(2))

    assert first != second
    assert acme.api_keys.filter(active=True).count() == 2


def test_another_key_takes_a_company():
    with pytest.raises(CommandError, match="leave --new-key out"):
        said("create_company", "acme", "--new-key")


@pytest.mark.parametrize("url_id", ["Acme", "a b", "-a", "a/b", "", "x" * 64, "ä"])
def test_company_stands_in_addresses(url_id):
    with pytest.raises(CommandError, match="cannot be used as url_id"):
        said("create_company", "--", url_id)

    assert not Company.objects.exists()


# issue_token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "user", "scopes"),
    [
        ([], None, {"calendars:admin"}),
        (["--user", "alice"], "alice", {"calendars:read", "calendars:write"}),
        (["--user", "alice", "--scope", "calendars:read"], "alice", {"calendars:read"}),
        (
            ["--scope", "calendars:read", "--scope", "calendars:write"],
            None,
            {"calendars:read", "calendars:write"},
        ),
    ],
    ids=["the company administers", "a user reads and writes", "a user reads", "as named"],
)
def test_token_is_the_last_word(acme, arguments, user, scopes):
    caller = tokens.verify(last_word("issue_token", "acme", *arguments), acme)

    assert (caller.user_unique_id, caller.scopes) == (user, scopes)


def test_token_that_reaches_nobody_is_remarked_upon(acme):
    err = StringIO()
    said("issue_token", "acme", "--scope", "calendars:read", stderr=err)

    assert "reaches no user" in err.getvalue()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["globex"], "There is no company globex"),
        (["acme", "--days", "0"], "from 1 to"),
        (["acme", "--days", "99999999999"], "from 1 to"),
        (["acme", "--user", ""], "1 to 255"),
        (["acme", "--user", "x" * 256], "1 to 255"),
        (["acme", "--scope", "everything"], "invalid choice"),
    ],
)
def test_token_that_cannot_be_issued(acme, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        said("issue_token", *arguments)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ProgrammingError('relation "tenancy_company" does not exist'), "run manage.py migrate"),
        (OperationalError("no such table: tenancy_company"), "run manage.py migrate"),
        (OperationalError("connection to db.internal failed for user service"), "check DATABASE_URL"),
    ],
)
def test_database_that_is_not_ready_is_explained(monkeypatch, error, sentence):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Company.objects, "filter", fail)
    with pytest.raises(CommandError, match=sentence) as raised:
        said("issue_token", "acme")

    assert "db.internal" not in str(raised.value)


# rotate_encryption --------------------------------------------------------------------------------------------------

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def under_old_key(settings, acme, alice):
    """Secrets of three kinds, written before the new key came."""
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    CalcomSecret.objects.bulk_create(CalcomSecret(company=acme, secret=f"secret {n}") for n in range(450))
    ICSToken.objects.create(company=acme, user=alice, digest="d", encrypted_token="token")
    for number, credentials in enumerate([{"password": "pw"}, None]):
        CalendarAccount.objects.create(
            company=acme, user=alice, provider="caldav", identity=str(number), credentials=credentials
        )
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]


def test_every_secret_comes_under_the_new_key(under_old_key, settings):
    text = said("rotate_encryption")
    settings.FIELD_ENCRYPTION_KEYS = [NEW]

    assert "CalcomSecret.secret: 450 re-encrypted, 0 up to date." in text
    assert "CalendarAccount.credentials: 1 re-encrypted" in text
    assert CalcomSecret.objects.latest("id").secret == "secret 449"
    assert ICSToken.objects.get().encrypted_token == "token"
    assert [a.credentials for a in CalendarAccount.objects.order_by("id")] == [{"password": "pw"}, None]


def test_a_second_run_finds_nothing_to_do(under_old_key):
    said("rotate_encryption")

    assert "CalcomSecret.secret: 0 re-encrypted, 450 up to date." in said("rotate_encryption")


def test_a_killed_run_has_lost_nothing_and_is_taken_up_again(under_old_key, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    monkeypatch.setattr("config.management.commands.rotate_encryption._silently", die)
    with pytest.raises(Killed):
        said("rotate_encryption")
    monkeypatch.undo()

    assert {row.secret for row in CalcomSecret.objects.all()} == {f"secret {n}" for n in range(450)}
    text = said("rotate_encryption")
    assert "Every value is under the newest key" in text


def test_rows_that_no_key_opens_are_named_and_do_not_stop_the_rest(under_old_key, settings):
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = CalcomSecret.objects.create(company=Company.objects.get(), secret="lost")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    err = StringIO()

    with pytest.raises(CommandError, match="1 values are not under the newest key"):
        said("rotate_encryption", stderr=err)

    assert f"no configured key opens: {lost.pk}" in err.getvalue()
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert CalcomSecret.objects.exclude(pk=lost.pk).count() == 450
    assert ICSToken.objects.get().encrypted_token == "token"


def test_progress_is_told_when_asked_for(under_old_key):
    text = said("rotate_encryption", verbosity=2)

    assert "integrations.CalcomSecret.secret: 200 so far." in text
    assert "integrations.CalcomSecret.secret: 450 so far." in text
