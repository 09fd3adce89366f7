"""The cast at the API: alice and bob at acme, mallory at globex, each with a token of their own."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company


@dataclass(frozen=True)
class Person:
    """Somebody who calls the API; `user` None: the company's own token."""

    user: str | None
    headers: dict[str, str]

    def get(self, path: str, **headers: str) -> Any:
        return Client().get(path, headers={**self.headers, **headers})

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("post", path, body, headers)

    def put(self, path: str, body: Any) -> Any:
        return self._send("put", path, body, {})

    def delete(self, path: str) -> Any:
        return Client().delete(path, headers=self.headers)

    def _send(self, verb: str, path: str, body: Any, headers: dict[str, str]) -> HttpResponse:
        send = getattr(Client(), verb)
        data = "" if body is None else json.dumps(body)
        response: HttpResponse = send(
            path, data=data, content_type="application/json", headers={**self.headers, **headers}
        )
        return response


def person(url_id: str, user: str | None, *scopes: Scope) -> Person:
    """A caller at the company (made when there is none), with read and write unless `scopes` say otherwise."""
    company, _ = Company.objects.get_or_create(url_id=url_id)
    token = tokens.issue(
        company,
        user_unique_id=user,
        scopes=list(scopes or (Scope.READ, Scope.WRITE)),
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    return Person(user, {"Authorization": f"Bearer {token}", "AppId": ApiKey.issue(company)})


def alice() -> Person:
    return person("acme", "alice")


def bob() -> Person:
    return person("acme", "bob")


def acme_admin() -> Person:
    return person("acme", None, Scope.ADMIN)


def mallory() -> Person:
    """An administrator, of another company: nothing of acme's is there for her."""
    return person("globex", "mallory", Scope.ADMIN)


def errors(response: Any) -> list[tuple[str, str, str]]:
    """(status, code, where) of each error of a document."""
    found = []
    for error in response.json()["errors"]:
        source = error.get("source", {})
        found.append((error["status"], error["code"], source.get("pointer", source.get("parameter", ""))))
    return found
