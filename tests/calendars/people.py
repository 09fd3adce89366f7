"""Who calls the API, made on the spot: alice and bob of acme, acme's administrator, and mallory of globex."""

from typing import Any

from rest_framework.test import APIClient

from tenancy.models import Company
from tests.cast import client_for


def alice() -> APIClient:
    return client_for(_company("acme"), "alice")


def bob() -> APIClient:
    return client_for(_company("acme"), "bob")


def acme_admin() -> APIClient:
    return client_for(_company("acme"))


def mallory() -> APIClient:
    """An administrator, of another company: nothing of acme's is there for her."""
    return client_for(_company("globex"))


def errors(response: Any) -> list[tuple[str, str, str]]:
    """(status, code, where) of each error of a document."""
    found = []
    for error in response.json()["errors"]:
        source = error.get("source", {})
        found.append((error["status"], error["code"], source.get("pointer", source.get("parameter", ""))))
    return found


def _company(url_id: str) -> Company:
    company, _ = Company.objects.get_or_create(url_id=url_id)
    return company
