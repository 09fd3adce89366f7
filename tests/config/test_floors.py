"""The floors hold: config → integrations | icsfeeds → calendars → busyblocks → tenancy; and any may be loaded first."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What each may import, beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "tenancy": set(),
    "busyblocks": {"tenancy"},
    "calendars": {"busyblocks", "tenancy"},
    "icsfeeds": {"calendars", "busyblocks", "tenancy"},
    "integrations": {"calendars", "busyblocks", "tenancy"},
    "config": {"integrations", "icsfeeds", "calendars", "busyblocks", "tenancy"},
}


def imported_by(path: Path) -> set[str]:
    """The first words of every module that the file imports, inside of functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("app", sorted(MAY_IMPORT))
def test_floor_imports_only_what_lies_below(app):
    files = list((ROOT / app).rglob("*.py"))
    forbidden = {*MAY_IMPORT, "tests"} - MAY_IMPORT[app] - {app}

    assert files
    for path in files:
        wrong = imported_by(path) & forbidden
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_linter_knows_the_same_floors():
    """What CI holds is what this file says: two lists that could drift apart would be none."""
    contracts = (ROOT / "pyproject.toml").read_text()

    assert 'layers = ["config", "integrations | icsfeeds", "calendars", "busyblocks", "tenancy"]' in contracts


# DRF reads its settings while its own modules are being imported: whoever comes first must not close a circle.
FIRST = [
    "rest_framework.views",
    "rest_framework.viewsets",
    "rest_framework_json_api.serializers",
    "config.celery",
    "config.jsonapi.exceptions",
    "config.jsonapi.middleware",
    "config.jsonapi.pagination",
    "config.jsonapi.parsers",
    "config.jsonapi.renderers",
    "config.openapi",
    "tenancy.authentication",
    "tenancy.permissions",
    "tenancy.viewsets",
]


ONE_AFTER_ANOTHER = """
import importlib, os, sys, traceback
import django
django.setup()
assert "rest_framework.views" not in sys.modules
for name in sys.argv[1:]:
    if not os.fork():
        try:
            importlib.import_module(name)
        except Exception:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(0)
    os.wait()
"""


def test_any_module_of_the_edge_may_be_the_first_to_be_imported():
    """In a process that has nothing of DRF yet, forked once for each module."""
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER, *FIRST],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "tests.bare", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.returncode == 0
