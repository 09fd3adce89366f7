"""Acme and globex, and clients that speak for their people."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company

Speaks = Callable[..., Client]


@pytest.fixture
def acme(db) -> Company:
    return Company.objects.create(url_id="acme")


@pytest.fixture
def globex(db) -> Company:
    return Company.objects.create(url_id="globex")


@pytest.fixture
def speaking_for() -> Speaks:
    """A client with a fresh AppId of the company and a token for `user` (None: the company's own)."""

    def client(company: Company, user: str | None, *scopes: Scope) -> Client:
        token = tokens.issue(
            company,
            user_unique_id=user,
            scopes=list(scopes),
            lifetime=timedelta(hours=1),
            now=timezone.now(),
        )
        headers = {"Authorization": f"Bearer {token}", "AppId": ApiKey.issue(company)}
        return Client(headers=headers, raise_request_exception=False)

    return client


@pytest.fixture
def alice(acme, speaking_for) -> Client:
    return speaking_for(acme, "alice", Scope.READ, Scope.WRITE)


@pytest.fixture
def admin(acme, speaking_for) -> Client:
    return speaking_for(acme, None, Scope.ADMIN)


@pytest.fixture
def mallory(globex, speaking_for) -> Client:
    return speaking_for(globex, None, Scope.ADMIN)
