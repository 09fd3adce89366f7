"""Every page forbids what would let a stranger's text act: scripts in pages, other hosts, frames."""

import pytest
from django.test import Client

from config.page_headers import ADMIN, PAGES


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/admin/login/", ADMIN),
        ("/docs", PAGES),
        ("/oauth/google/start", PAGES),
        ("/static/ours/pages.css", PAGES),
        ("/admin/nothing-here/", ADMIN),
    ],
)
def test_page_says_what_it_may_load(client: Client, path: str, policy: str):
    response = client.get(path)
    assert response["Content-Security-Policy"] == policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "camera=()" in response["Permissions-Policy"]
    assert response["Referrer-Policy"] in {"same-origin", "no-referrer"}


@pytest.mark.parametrize("policy", [PAGES, ADMIN])
def test_no_policy_lets_scripts_stand_in_the_page(policy: str):
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert "unsafe-inline" not in rules["script-src"]
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"


@pytest.mark.django_db
def test_documents_of_the_api_carry_no_policy_for_pages(client: Client):
    assert "Content-Security-Policy" not in client.get("/health/live")
