"""The look-up through libpq: once for each reader, and back to Django's way whatever happens to the connection."""

import tempfile

import pytest
from django.db import connection

from icsfeeds import lookup, services
from icsfeeds.models import ICSToken
from icsfeeds.wsgi import FeedsFirst
from tenancy import prepared
from tenancy.models import CrmUser
from tests.icsfeeds.test_wsgi import ask, nobody

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def token(alice: CrmUser) -> ICSToken:
    return services.issue(alice)


@pytest.fixture
def etag(client, token) -> str:
    return client.get(f"/calendars/acme/ics/{token.encrypted_token}")["ETag"]


def asked(during) -> list[str]:
    """What libpq sent while `during` ran: the kinds of messages that have a plan made or run."""
    pgconn = connection.connection.pgconn
    with tempfile.TemporaryFile() as file:
        pgconn.trace(file.fileno())
        try:
            during()
        finally:
            pgconn.untrace()
        file.seek(0)
        sent = [line.split("\t") for line in file.read().decode().splitlines()]
    return [line[3] for line in sent if line[1] == "F" and line[3] in {"Query", "Parse", "Execute"}]


def test_a_304_is_one_statement_that_was_planned_before(token, etag):
    connection.ensure_connection()
    answers = []

    def read() -> None:
        answers.append(ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)[0])

    read()

    assert asked(read) == ["Execute"]
    assert asked(lambda: answers.append(ask(FeedsFirst(nobody), token)[0])) == ["Execute"]
    assert answers == ["304 Not Modified", "304 Not Modified", "200 OK"]


def test_whatever_becomes_of_the_session_the_reader_gets_the_answer(token, etag):
    for ruin in ("DISCARD ALL", "DEALLOCATE ALL", "SELECT pg_terminate_backend(pg_backend_pid())"):
        assert ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)[0] == "304 Not Modified"
        connection.connection.pgconn.exec_(ruin.encode())

        for _ in range(3):
            assert ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)[0] == "304 Not Modified"


def test_a_session_that_somebody_prepared_the_statement_in_is_used_as_it_is(token, etag):
    """As behind a pooler, which hands a session from one process to the next."""
    ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)
    prepared.forget()

    assert ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)[0] == "304 Not Modified"
    assert asked(lambda: ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)) == ["Execute"]


def test_it_finds_what_django_finds(token, alice, bob):
    team = services.issue(alice, team=[bob])
    for value in (token.encrypted_token, team.encrypted_token, "nothing"):
        digest = lookup.digest_of(value)
        for of_team in (False, True):
            question = lookup._statement("postgresql", of_team)
            short = question.row(connection, digest)
            assert short == question._by_cursor(connection, digest)
            assert (short is None) == (value == "nothing")
