"""The environment: typed values, and problems told all at once without their secrets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks

from config import checks, env

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-9f8e7d"


@pytest.fixture(autouse=True)
def problems(monkeypatch):
    """The list of this test alone."""
    monkeypatch.setattr(env, "problems", [])
    return env.problems


@pytest.fixture
def value(monkeypatch):
    return lambda text: monkeypatch.setenv("NAME", text)


@pytest.mark.parametrize(
    ("text", "read"),
    [("true", True), ("YES", True), ("1", True), ("on", True), ("false", False), ("0", False), ("", True)],
)
def test_flags(value, problems, text, read):
    value(text)

    assert env.flag("NAME", True) is read
    assert problems == []


@pytest.mark.parametrize(("text", "read"), [("7", 7), ("", 5), (" 8 ", 8)])
def test_numbers(value, problems, text, read):
    value(text)

    assert env.integer("NAME", 5, least=1) == read
    assert problems == []


def test_words_are_cut_at_commas(value):
    value(" a.test, b.test ,,")

    assert env.words("NAME") == ["a.test", "b.test"]


READ_WRONG = [
    (lambda: env.flag("NAME"), "maybe", False, "a flag that is neither"),
    (lambda: env.integer("NAME", 5), "-1", 5, "a number below its least"),
    (lambda: env.integer("NAME", 5, least=1), "0", 5, "a zero where one is the least"),
    (lambda: env.integer("NAME", 5), "many", 5, "a word for a number"),
    (lambda: env.integer("NAME", 5), "²", 5, "a digit that is no number"),
    (lambda: env.integer("NAME", 5, most=100), "101", 5, "a number above its most"),
    (lambda: env.integer("NAME", 5), "9" * 5000, 5, "a number out of all reason"),
    (lambda: env.choice("NAME", "INFO", ("INFO", "ERROR")), "loud", "INFO", "a word that is none of the choices"),
    (lambda: env.hosts("NAME"), "https://a.test", ["https://a.test"], "a host with a scheme"),
    (lambda: env.hosts("NAME"), "a.test,b.test:443", ["a.test", "b.test:443"], "a host with a port"),
    (lambda: env.url("NAME", "http://d.test"), "d.test", "http://d.test", "an address without a scheme"),
    (lambda: env.url("NAME", "http://d.test"), "ftp://d.test", "http://d.test", "an address of another scheme"),
    (lambda: env.url("NAME", "http://d.test"), "http://[", "http://d.test", "an address that cannot be read"),
    (lambda: env.url("NAME", "http://d.test"), "http:///path", "http://d.test", "an address without a host"),
    (lambda: env.url("NAME", "http://d.test"), "http://a.test:99999", "http://d.test", "a port beyond the last"),
    (lambda: env.url("NAME", schemes=("redis",)), "redis://a.test:x", "", "a port that is no number"),
    (lambda: env.required("NAME", "a hint", "made up"), "", "made up", "a value that has to be there"),
]


@pytest.mark.parametrize(
    ("read", "text", "instead"), [row[:3] for row in READ_WRONG], ids=[row[3] for row in READ_WRONG]
)
def test_wrong_value_is_noted_and_replaced(value, problems, read, text, instead):
    value(text)

    assert read() == instead
    (problem,) = problems
    assert problem.name == "NAME"
    assert problem.hint


SECRET = [
    (lambda: env.database("NAME"), f"mysql://u:{CANARY}@h/d", "a database of another kind"),
    (lambda: env.database("NAME"), f"odd://u:{CANARY}@h/d", "a database of a kind that nobody knows"),
    (lambda: env.database("NAME"), CANARY, "no address at all"),
    (lambda: env.database("NAME"), f"postgresql://u:{CANARY}@h:port/d", "a port that is no number"),
    (lambda: env.database("NAME"), f"postgresql://u:{CANARY}@h", "a server without a database's name"),
    (lambda: env.url("NAME", schemes=("redis",)), f"http://:{CANARY}@h", "a broker of another kind"),
    (lambda: env.fernet_keys("NAME"), CANARY, "a key that is none"),
    (lambda: env.fernet_keys("NAME"), f"{Fernet.generate_key().decode()},{CANARY}", "a second key that is none"),
]


@pytest.mark.parametrize(("read", "text"), [row[:2] for row in SECRET], ids=[row[2] for row in SECRET])
def test_problem_does_not_repeat_the_secret(value, problems, recwarn, read, text):
    value(text)
    read()

    assert [str(warning.message) for warning in recwarn] == []

    (problem,) = problems
    assert CANARY not in f"{problem}"


def test_an_sqlite_address_without_a_file_is_noted(value, problems):
    value("sqlite://")
    env.database("NAME")

    assert [problem.name for problem in problems] == ["NAME"]


def test_choices_are_read_in_any_case(value, problems):
    value(" error")

    assert env.choice("NAME", "INFO", ("INFO", "ERROR")) == "ERROR"
    assert problems == []


def test_hosts_and_sockets_that_are_right_pass(value, problems):
    value("*, .a.test, b-c.a.test, 127.0.0.1, [::1], web_1")
    assert len(env.hosts("NAME")) == 6
    value("unix:///run/redis.sock")
    assert env.url("NAME", schemes=("redis", "unix")) == "unix:///run/redis.sock"
    assert problems == []


def test_databases(value, problems):
    value("postgresql://u:p%40w@h:5433/d")
    assert env.database("NAME") | {"PASSWORD": "p@w", "PORT": 5433} == env.database("NAME")
    value("sqlite:////tmp/x.sqlite3")
    assert env.database("NAME")["NAME"] == "/tmp/x.sqlite3"
    assert problems == []


def test_keys_without_one_are_made_up_and_noted(problems, monkeypatch):
    monkeypatch.delenv("NAME", raising=False)

    assert Fernet(env.fernet_keys("NAME")[0])
    assert "rotate_encryption" in problems[0].hint


def test_commands_beside_the_demo_take_its_settings(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("OF_THE_DEMO", raising=False)
    path = tmp_path / "demo.env"
    path.write_text("OF_THE_DEMO=a=b\n\n# no value\nSECRET_KEY=demo\n")
    monkeypatch.setattr(os, "environ", {**os.environ, "SECRET_KEY": ""})
    env.adopt_demo_file(path)

    assert (os.environ["OF_THE_DEMO"], os.environ["SECRET_KEY"]) == ("a=b", "demo")


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL"])
def test_whoever_configured_anything_does_not_get_the_demos_settings(tmp_path, monkeypatch, name):
    monkeypatch.setattr(os, "environ", {name: "given"})
    path = tmp_path / "demo.env"
    path.write_text("SECRET_KEY=demo\nDATABASE_URL=demo\n")
    env.adopt_demo_file(path)

    assert os.environ == {name: "given"}


# manage.py check ----------------------------------------------------------------------------------------------------


def test_each_problem_is_an_error_with_an_id_and_a_hint(problems):
    problems.extend([env.Problem("A", "A is not set.", "Set it."), env.Problem("B", "B is odd.", "Even it.")])
    found = checks.environment_is_complete()

    assert [(error.id, error.msg, error.hint) for error in found] == [
        ("config.E001", "A is not set.", "Set it."),
        ("config.E002", "B is odd.", "Even it."),
    ]


PRODUCTION = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
    "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    # Nobody listens there: checks need no database.
    "DATABASE_URL": f"postgresql://calendar:{CANARY}@127.0.0.1:1/calendar",
    "REDIS_URL": f"redis://:{CANARY}@127.0.0.1:1/0",
    "ALLOWED_HOSTS": "calendar.example.com",
    "PUBLIC_URL": "https://calendar.example.com",
}


def check(*arguments, **environment):
    """`manage.py check` in a process of its own, under nothing but this environment."""
    return subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_as_documented_passes_without_a_warning():
    done = check("--deploy", "--fail-level", "WARNING", **PRODUCTION)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_everything_that_is_wrong_is_told_at_once_without_secrets():
    done = check(
        DATABASE_URL=f"oracle://u:{CANARY}@h/d",
        REDIS_URL=f"http://:{CANARY}@h",
        FIELD_ENCRYPTION_KEYS=CANARY,
        PUBLIC_URL="calendar.example.com",
        DEBUG="perhaps",
    )

    assert done.returncode == 1
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "FIELD_ENCRYPTION_KEYS", "PUBLIC_URL", "DEBUG"):
        assert name in done.stderr
    assert "HINT" in done.stderr
    assert CANARY not in done.stdout + done.stderr


def test_web_server_refuses_what_check_refuses():
    done = subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **PRODUCTION, "SECRET_KEY": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "ImproperlyConfigured: SECRET_KEY is not set." in done.stderr


def ids():
    return {message.id for message in run_checks(include_deployment_checks=True)}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "wrong", "check_id"),
    [
        ("ALLOWED_HOSTS", [], "config.E101"),
        ("ALLOWED_HOSTS", ["a.test", "*"], "config.E101"),
        ("SERVED_OVER_HTTPS", False, "config.E102"),
        ("REDIS_URL", "", "config.W102"),
    ],
)
def test_what_must_not_serve_a_company(settings, name, wrong, check_id):
    settings.ALLOWED_HOSTS, settings.SERVED_OVER_HTTPS, settings.REDIS_URL = ["a.test"], True, "redis://h"
    assert check_id not in ids()

    setattr(settings, name, wrong)
    assert check_id in ids()


def test_sqlite_is_remarked_upon(settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")

    assert "config.W101" in {message.id for message in checks.environment_is_for_production()}


@pytest.mark.django_db
def test_companies_that_accept_unsigned_webhooks_are_named(acme, globex):
    acme.calcom_secrets.create(secret="s")
    (warning,) = [found for found in run_checks(include_deployment_checks=True) if found.id == "integrations.W001"]

    assert "globex" in warning.msg
    assert "acme" not in warning.msg

    globex.calcom_secrets.create(secret="s")
    assert "integrations.W001" not in ids()
