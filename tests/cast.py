"""The cast of every test: alice and bob at acme, mallory at globex; and a client that speaks for any of them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company, CrmUser


@pytest.fixture
def acme(db: None) -> Company:
    return Company.objects.create(url_id="acme", name="Acme")


@pytest.fixture
def globex(db: None) -> Company:
    return Company.objects.create(url_id="globex", name="Globex")


@pytest.fixture
def alice(acme: Company) -> CrmUser:
    return CrmUser.objects.create(company=acme, unique_id="alice", email="alice@acme.example")


@pytest.fixture
def bob(acme: Company) -> CrmUser:
    return CrmUser.objects.create(company=acme, unique_id="bob", email="bob@acme.example")


@pytest.fixture
def mallory(globex: Company) -> CrmUser:
    return CrmUser.objects.create(company=globex, unique_id="mallory", email="mallory@globex.example")


def client_for(company: Company, user: CrmUser | str | None = None, scopes: Iterable[Scope] | None = None) -> APIClient:
    """A client with a real AppId and bearer token of the company.

    Without `user` the token acts for the company and administers it; with one it reads and writes that user's paths.
    `scopes` says otherwise. Bodies go out as JSON unless a format is named.
    """
    if scopes is None:
        scopes = [Scope.ADMIN] if user is None else [Scope.READ, Scope.WRITE]
    token = tokens.issue(
        company,
        user_unique_id=user.unique_id if isinstance(user, CrmUser) else user,
        scopes=list(scopes),
        # Valid at whatever time a test travels to.
        lifetime=timedelta(days=365 * 100),
        now=datetime(2000, 1, 1, tzinfo=UTC),
    )
    client = APIClient()
    client.credentials(
        HTTP_APPID=ApiKey.issue(company), HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_ACCEPT="application/json"
    )
    return client
