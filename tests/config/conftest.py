"""Clients that answer for what the server did, instead of raising it."""

from collections.abc import Callable

import pytest
from django.test import Client

from tenancy.callers import Scope
from tenancy.models import Company
from tests.cast import client_for

Speaks = Callable[..., Client]


@pytest.fixture
def speaking_for() -> Speaks:
    """A client with a fresh AppId of the company and a token for `user` (None: the company's own)."""

    def client(company: Company, user: str | None, *scopes: Scope) -> Client:
        credentials = client_for(company, user, scopes)._credentials
        return Client(
            headers={"AppId": credentials["HTTP_APPID"], "Authorization": credentials["HTTP_AUTHORIZATION"]},
            raise_request_exception=False,
        )

    return client


@pytest.fixture
def as_alice(acme: Company, speaking_for: Speaks) -> Client:
    return speaking_for(acme, "alice", Scope.READ, Scope.WRITE)


@pytest.fixture
def as_company(acme: Company, speaking_for: Speaks) -> Client:
    return speaking_for(acme, None, Scope.ADMIN)
